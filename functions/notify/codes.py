"""Sends the code that confirms a recipient's address, at most once.

Each code was counted when it was asked for (`functions/recipients`), so an event that is repeated or forged sends none
that was not. A code that nobody knows to be sent is not sent again: its owner asks for another one.
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from functions.notify.rendering import render_code
from functions.notify.sending import NotificationRefused, NotificationSender, NotSent
from orders import inbox
from orders.confirmation_codes import ConfirmationCodes
from orders.contract import Metric
from orders.db import Database
from orders.domain import Channel, Locale
from orders.events import CloudEvent, ConfirmationCodeRequested, Consumer
from orders.observability import count, logger
from orders.suppressed_addresses import reason_of

_CLAIM: Final = text(f"""
    UPDATE recipients SET code_sent = code_version
    WHERE id = :id AND code_version = :version AND code_sent < :version
      AND confirmed_at IS NULL AND code_expires_at > now()
      AND (channel <> 'email' OR {reason_of("recipients.address")} IS NULL)
    RETURNING channel, address, locale
""")
_SENT: Final = text("""
    UPDATE recipients SET code_provider_id = :provider_id WHERE id = :id AND code_version = :version
""")
_NOT_SENT: Final = text("""
    UPDATE recipients SET code_sent = :version - 1 WHERE id = :id AND code_version = :version
""")


def send_code(
    database: Database,
    sender: Callable[[Channel], NotificationSender],
    codes: ConfirmationCodes,
    event: CloudEvent,
    requested: ConfirmationCodeRequested,
) -> None:
    """Sends the code, unless it was sent before, is replaced by a newer one, has expired, is not needed any more, or
    its address gets no mail any more.

    Raises:
        NotSent, ServiceUnavailable, DatabaseUnavailable: nothing was sent; deliver the event again later.
        Exception: from the sender, when nobody knows whether it was sent.
    """
    # First of all: without it nothing may be claimed.
    code = codes.code(event.subject, requested.version)
    asked = {"id": event.subject, "version": requested.version}

    def claim(connection: Connection) -> Row[Any] | None:
        claimed = connection.execute(_CLAIM, asked).first()
        if claimed is None:
            inbox.record(connection, Consumer.NOTIFY, event.id)
        return claimed

    recipient = database.transact(claim)
    if recipient is None:
        logger.info("Confirmation code is not to be sent, or was before")
        return
    channel = Channel(recipient.channel)
    provider_id: str | None = None
    try:
        provider_id = sender(channel).send(
            render_code(channel, recipient.address, Locale(recipient.locale), code)
        )
    except NotificationRefused as refusal:
        count(Metric.NOTIFICATIONS_FAILED)
        logger.error("Confirmation code was refused for good", error=refusal.code, channel=channel)
    except NotSent:
        database.transact_alone(lambda connection: connection.execute(_NOT_SENT, asked))
        raise
    else:
        count(Metric.CODES_SENT)
        logger.info("Confirmation code sent", channel=channel)

    def record(connection: Connection) -> None:
        connection.execute(_SENT, {**asked, "provider_id": provider_id})
        inbox.record(connection, Consumer.NOTIFY, event.id)

    database.transact(record)
