"""The use case: claim, commit, send, record. At most one mail for each (order, notification)."""

from typing import Final

from sqlalchemy import Connection

from functions.notify.deliveries import Claimed, Delivery
from functions.notify.mailer import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    Mailer,
    MailNotSent,
    MailRefused,
)
from functions.notify.templates import Mail, render
from orders.db import Database
from orders.domain import Channel
from orders.events import CloudEvent, NotificationRequested
from orders.ids import uuid7
from orders.observability import Metric, count, logger

NEEDED_SECONDS: Final = 3.0 + CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS
"""What one message may take: two transactions, with a retry or two, around a mail that gets no answer."""


def notify(database: Database, mailer: Mailer, event: CloudEvent, requested: NotificationRequested) -> None:
    """Sends the mail that the event asks for, unless it was sent, refused for good or left uncertain before.

    Raises:
        SendingInProgress, MailNotSent: nothing was sent; deliver the event again later.
        DatabaseUnavailable: the same, or the mail was sent and that could not be recorded: the next delivery marks it
            UNCERTAIN.
        Exception: from the mailer, when nobody knows whether the mail was sent; the next delivery marks it UNCERTAIN.
    """
    delivery = Delivery(uuid7(), event.id, event.subject, requested.notification, Channel.EMAIL)

    def claim(connection: Connection) -> tuple[Claimed, Mail]:
        claimed, recipient = delivery.claim(connection)
        # Inside the transaction: what cannot be rendered is not claimed either.
        return claimed, render(requested.notification, recipient)

    claimed, mail = database.transact(claim)
    match claimed:
        case Claimed.OURS:
            _send(database, mailer, delivery, mail)
        case Claimed.UNCERTAIN:
            count(Metric.NOTIFICATIONS_UNCERTAIN)
            logger.error("A mail may or may not have been sent", notification=requested.notification)
        case Claimed.DONE:
            logger.info("Mail was dealt with before", notification=requested.notification)


def _send(database: Database, mailer: Mailer, delivery: Delivery, mail: Mail) -> None:
    try:
        provider_id = mailer.send(mail)
    except MailRefused as refusal:
        code = refusal.code
        database.transact(lambda connection: delivery.record_refused(connection, code))
        count(Metric.NOTIFICATIONS_FAILED)
        logger.error("Mail was refused for good", notification=delivery.notification, error=code)
    except MailNotSent as failure:
        code = failure.code
        database.transact(lambda connection: delivery.record_not_sent(connection, code))
        raise
    else:
        database.transact(lambda connection: delivery.record_sent(connection, provider_id))
        count(Metric.NOTIFICATIONS_SENT)
        logger.info("Mail sent", notification=delivery.notification, provider_id=provider_id)
