"""Whether a message may be sent: its recipient has agreed to get it, and no limit on messages is reached.

Nothing goes to an address from which a mail came back, or whose reader has complained of one.

A recipient has agreed if the address is the verified one of the user's account, or was confirmed by a code
(`functions/recipients`). A stage may let a few messages an hour go to other addresses.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, NonNegativeInt
from sqlalchemy import Connection, Row, text

from orders.allowances import Allowance, mailbox, spend
from orders.domain import Channel, MailFeedback, SuppressionReason
from orders.suppressed_addresses import reason_of

ACCOUNT_HOURS: Final = 24
"""How long a known address of an account is relied on."""
ASK_AGAIN_SECONDS: Final = 60
"""How soon the account is asked for again, if another address was known: it may have changed."""

RECIPIENT_COLUMNS: Final = f"""
    orders.user_id, coalesce(account.address = lower(contact_email), false) AS is_account,
    coalesce(account.asked_at > now() - interval '{ASK_AGAIN_SECONDS} seconds', false) AS is_account_known,
    EXISTS (
        SELECT FROM recipients
        WHERE recipients.user_id = orders.user_id AND recipients.channel = told.channel
          AND recipients.address = lower(CASE told.channel WHEN 'sms' THEN contact_phone ELSE contact_email END)
          AND recipients.confirmed_at IS NOT NULL
    ) AS is_confirmed,
    CASE told.channel WHEN 'email' THEN {reason_of("orders.contact_email")} END AS suppressed
"""
"""What a statement that finds a notification (`told`) and its order asks for, with `ACCOUNT`, so that the row says who
the recipient is."""
ACCOUNT: Final = f"""
    LEFT JOIN account_addresses AS account
        ON account.user_id = orders.user_id AND account.asked_at > now() - interval '{ACCOUNT_HOURS} hours'
"""

_REMEMBER: Final = text("""
    INSERT INTO account_addresses (user_id, address, asked_at) VALUES (:user_id, lower(:address), now())
    ON CONFLICT (user_id) DO UPDATE SET address = excluded.address, asked_at = excluded.asked_at
""")


class ChannelLimits(BaseModel):
    """Messages an hour on one channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipient: NonNegativeInt
    """To one recipient, whoever causes them."""
    user: NonNegativeInt
    """Caused by one user, to whomever."""
    stage: NonNegativeInt
    """In all."""
    unconfirmed: NonNegativeInt
    """To one recipient who has not agreed, whoever causes them."""


MessageLimits = dict[Channel, ChannelLimits]


class AccountNotKnown(Exception):
    """Nobody has asked lately for the address of this user's account."""

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self.user_id = user_id


@dataclass(frozen=True)
class Recipient:
    """Whom a notification is for, and what is known of their agreement."""

    user_id: str
    channel: Channel
    address: str = field(repr=False)
    has_agreed: bool
    is_account_known: bool
    suppressed: MailFeedback | None
    """Why the address gets no mail any more."""

    @classmethod
    def of(cls, row: Row[Any], channel: Channel, address: str) -> "Recipient":
        """From a row with `RECIPIENT_COLUMNS`."""
        is_account = channel is Channel.EMAIL and row.is_account
        suppressed = MailFeedback(row.suppressed) if row.suppressed else None
        has_agreed = row.is_confirmed or is_account
        return cls(row.user_id, channel, address, has_agreed, row.is_account_known, suppressed)


def check(
    connection: Connection, limits: MessageLimits, recipient: Recipient, claim_id: UUID, *, is_first: bool
) -> SuppressionReason | None:
    """Why nothing may be sent to the recipient, or None. Counts the message, in the caller's transaction, if this is
    the first attempt at it. What may not be sent for the recipient's sake uses up nothing of others' limits.

    Raises:
        AccountNotKnown: find out (`accounts`), `remember` it, and check again.
    """
    if recipient.suppressed:
        return SuppressionReason.after(recipient.suppressed)
    if recipient.channel is Channel.EMAIL and not (recipient.has_agreed or recipient.is_account_known):
        raise AccountNotKnown(recipient.user_id)
    limit = limits[recipient.channel]
    scope, per_hour, reason = (
        ("recipient", limit.recipient, SuppressionReason.RECIPIENT_LIMIT)
        if recipient.has_agreed
        else ("unconfirmed", limit.unconfirmed, SuppressionReason.RECIPIENT_NOT_CONFIRMED)
    )
    if not is_first:
        return None if per_hour else reason
    channel = recipient.channel
    reasons = {
        Allowance(f"{channel} of user", recipient.user_id, limit.user): SuppressionReason.USER_LIMIT,
        Allowance(f"{channel} to {scope}", mailbox(channel, recipient.address), per_hour): reason,
        Allowance.shared(f"{channel} of stage", limit.stage, claim_id): SuppressionReason.STAGE_LIMIT,
    }
    refused = spend(connection, *reasons)
    return reasons[refused] if refused else None


def remember(connection: Connection, user_id: str, address: str | None) -> None:
    """Keeps the verified address of a user's account, or that there is none."""
    connection.execute(_REMEMBER, {"user_id": user_id, "address": address})
