"""A customer's recipients. Every statement names the user: another user's recipient is as unknown as none at all."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from functions.recipients.models import AddRecipient, Recipient
from functions.recipients.settings import CodeLimits
from orders import idempotency, outbox
from orders.allowances import Allowance, mailbox, spend
from orders.confirmation_codes import ATTEMPTS, MINUTES, ConfirmationCodes
from orders.db import Database
from orders.errors import CodeExpired, RecipientLimitReached, RecipientNotFound, TooManyCodes, WrongCode
from orders.events import ConfirmationCodeRequested, Trace
from orders.idempotency import IdempotentRequest
from orders.ids import parse_uuid, uuid7

MAX_RECIPIENTS: Final = 20
"""That one user may have."""

_COLUMNS: Final = (
    "id, channel, address, confirmed_at, created_at, code_version, code_attempts, "
    "CASE WHEN confirmed_at IS NULL THEN code_expires_at END AS code_expires_at"
)
_EARLIER: Final = idempotency.find("recipients", _COLUMNS)
_LIST: Final = text(f"SELECT {_COLUMNS} FROM recipients WHERE user_id = :user_id ORDER BY id")
_READ: Final = text(f"SELECT {_COLUMNS} FROM recipients WHERE id = :id AND user_id = :user_id")
_REMOVE: Final = text(f"DELETE FROM recipients WHERE id = :id AND user_id = :user_id RETURNING {_COLUMNS}")

# A recipient that is there gets a new code, unless it is confirmed. The record of the request is the row itself, which
# keeps the key of the last one.
_ADD: Final = text(f"""
    INSERT INTO recipients AS known (id, user_id, channel, address, locale, code_expires_at, key, fingerprint)
    SELECT :id, :user_id, :channel, :address, :locale, now() + make_interval(mins => :minutes), :key, :fingerprint
    WHERE (SELECT count(*) FROM recipients WHERE user_id = :user_id) < :most
       OR EXISTS (SELECT FROM recipients
                  WHERE (user_id, channel, address) = (:user_id, CAST(:channel AS text), CAST(:address AS text)))
    ON CONFLICT (user_id, channel, address) DO UPDATE
    SET key = excluded.key, fingerprint = excluded.fingerprint, locale = excluded.locale,
        code_version = known.code_version + CASE WHEN known.confirmed_at IS NULL THEN 1 ELSE 0 END,
        code_attempts = 0, code_expires_at = excluded.code_expires_at
    RETURNING {_COLUMNS}
""")

# Counted before it is compared, and whether it is right or not: so many attempts are made, however many come at once.
_ATTEMPT: Final = text(f"""
    UPDATE recipients SET code_attempts = code_attempts + 1
    WHERE id = :id AND user_id = :user_id AND confirmed_at IS NULL
      AND code_attempts < :attempts AND code_expires_at > now()
    RETURNING {_COLUMNS}
""")
_CONFIRM: Final = text(f"UPDATE recipients SET confirmed_at = now() WHERE id = :id RETURNING {_COLUMNS}")


@dataclass(frozen=True)
class Added:
    """The recipient of a request; `replayed` if an earlier request made it what it is."""

    recipient: Recipient
    replayed: bool


class _Overtaken(Exception):
    """A request under the same key took effect since this one looked. What this one has spent is given back."""


def add(
    database: Database,
    limits: CodeLimits,
    request: IdempotentRequest,
    asked: AddRecipient,
    trace: Trace,
) -> Added:
    """Has a code sent to the address, once per user and key. Nothing is sent to one that is confirmed.

    Raises:
        RecipientLimitReached: the user has `MAX_RECIPIENTS` others.
        TooManyCodes: one of `limits` is reached. Nothing was written.
        IdempotencyKeyReused: the key belongs to another request of this user's.
        DatabaseUnavailable: the same request may be sent again.
    """
    new_id = uuid7()
    allowances = (
        Allowance("codes of user", request.user_id, limits.user),
        Allowance("codes to recipient", mailbox(asked.channel, asked.address), limits.recipient),
        Allowance.shared("codes of stage", limits.stage, new_id),
    )
    parameters = {
        **request.row,
        **asked.model_dump(),
        "id": new_id,
        "minutes": MINUTES,
        "most": MAX_RECIPIENTS,
    }

    def take_effect(connection: Connection) -> Added:
        # The user's own allowance comes first: whoever holds it is alone with this user's recipients until COMMIT.
        refused = spend(connection, *allowances)
        if connection.execute(_EARLIER, request.row).first() is not None:
            raise _Overtaken
        if refused:
            raise TooManyCodes(refused.retry_after_seconds)
        row = connection.execute(_ADD, parameters).first()
        if row is None:
            raise RecipientLimitReached(
                f"A user may have {MAX_RECIPIENTS} recipients; delete one of yours first"
            )
        if row.confirmed_at is None:
            outbox.add(connection, row.id, ConfirmationCodeRequested(version=row.code_version), trace)
        return Added(_recipient(row), replayed=False)

    def recall(connection: Connection, row: Row[Any]) -> Added:
        request.check(row.fingerprint)
        # Our own id is there if the connection was lost around COMMIT and the transaction is run again.
        return Added(_recipient(row), replayed=row.id != new_id)

    def once() -> Added:
        return idempotency.once(database, request, _EARLIER, take_effect, recall)

    try:
        return once()
    except _Overtaken:
        return once()


def list_all(database: Database, user_id: str) -> list[Recipient]:
    """The user's recipients, oldest first; there are never more than `MAX_RECIPIENTS`."""
    rows = database.transact_alone(lambda connection: connection.execute(_LIST, {"user_id": user_id}).all())
    return [_recipient(row) for row in rows]


def read(database: Database, user_id: str, recipient_id: str) -> Recipient:
    """One of the user's recipients.

    Raises:
        RecipientNotFound: there is none, it is somebody else's, or no recipient can have such an id.
    """
    return _recipient(_one(database, _READ, user_id, recipient_id))


def remove(database: Database, user_id: str, recipient_id: str) -> None:
    """Removes one of the user's recipients: messages of theirs do not go there any more.

    Raises:
        RecipientNotFound: as for `read`.
    """
    _one(database, _REMOVE, user_id, recipient_id)


def confirm(
    database: Database, codes: ConfirmationCodes, user_id: str, recipient_id: str, code: str
) -> Recipient:
    """Lets messages go to the recipient, if this is the code. A recipient that is confirmed stays so.

    Raises:
        RecipientNotFound: as for `read`.
        WrongCode: it is not, and may be tried again.
        CodeExpired: no code is valid any more; ask for a new one.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    uuid = _parse(recipient_id)
    asked = {"id": uuid, "user_id": user_id, "attempts": ATTEMPTS}

    def work(connection: Connection) -> tuple[Row[Any] | None, bool]:
        attempted = connection.execute(_ATTEMPT, asked).first()
        if attempted is None:
            return connection.execute(_READ, asked).first(), False
        if codes.is_right(code, uuid, attempted.code_version):
            return connection.execute(_CONFIRM, asked).one(), True
        return attempted, True

    row, was_compared = database.transact(work)
    if row is None:
        raise _not_found()
    if row.confirmed_at is not None:
        return _recipient(row)
    left = ATTEMPTS - row.code_attempts
    if not was_compared or not left:
        raise CodeExpired("The code is too old, or was tried too often: ask for a new one")
    raise WrongCode(f"{left} attempts are left" if left > 1 else "One attempt is left")


def _one(database: Database, statement: TextClause, user_id: str, recipient_id: str) -> Row[Any]:
    asked = {"id": _parse(recipient_id), "user_id": user_id}
    row = database.transact_alone(lambda connection: connection.execute(statement, asked).first())
    if row is None:
        raise _not_found()
    return row


def _parse(recipient_id: str) -> UUID:
    uuid = parse_uuid(recipient_id)
    if uuid is None:
        raise _not_found()
    return uuid


def _not_found() -> RecipientNotFound:
    return RecipientNotFound("You have no such recipient")


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient.of(row._mapping, recipient_id=row.id)
