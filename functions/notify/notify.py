"""The use case: claim, commit, send, record. At most one message for each (order, notification, channel)."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from functions.notify import accounts, limits
from functions.notify.accounts import Accounts
from functions.notify.limits import AccountNotKnown, MessageLimits
from functions.notify.notification_rows import NotificationClaim, NotificationToSend
from functions.notify.rendering import RenderedMessage, render
from functions.notify.sending import (
    READ_TIMEOUT_SECONDS,
    NotificationRefused,
    NotificationSender,
    NotSent,
)
from orders.aws import CONNECT_TIMEOUT_SECONDS
from orders.contract import Metric
from orders.db import Database
from orders.domain import Notification, SuppressionReason
from orders.errors import UnexpectedEvent
from orders.events import CloudEvent, NotificationRequested
from orders.ids import uuid7
from orders.observability import count, logger

NEEDED_SECONDS: Final = (
    3.0 + 2 * CONNECT_TIMEOUT_SECONDS + accounts.READ_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS
)
"""What one event may take: transactions, with a retry or two, around an account and a message that get no response."""


@dataclass(frozen=True)
class Permission:
    """What decides whether a message may be sent."""

    limits: MessageLimits
    accounts: Accounts


def notify(
    database: Database,
    sender: NotificationSender,
    permission: Permission,
    event: CloudEvent,
    requested: NotificationRequested,
) -> None:
    """Sends what the event asks for, unless it was sent, refused for good or left uncertain before, or may not be sent.
    `sender` is that of the event's channel.

    Raises:
        SendingInProgress, NotSent, ServiceUnavailable: nothing was sent; deliver the event again later.
        UnexpectedEvent: the message is poison.
        DatabaseUnavailable: the same, or the message was sent and that could not be recorded: the next delivery marks
            it UNCERTAIN.
        Exception: from the sender, when nobody knows whether it was sent; the next delivery marks it UNCERTAIN.
    """
    if (requested.notification is Notification.ORDER_REFUNDED) != (requested.refund_id is not None):
        raise UnexpectedEvent("only what tells of a refund names one")
    delivery = NotificationToSend(
        uuid7(), event.id, event.subject, requested.notification, requested.channel, requested.refund_id
    )

    def claim(
        connection: Connection,
    ) -> tuple[NotificationClaim | SuppressionReason, RenderedMessage | None]:
        claimed, order = delivery.claim(connection, permission.limits)
        if claimed is not NotificationClaim.OURS:
            return claimed, None
        # Inside the transaction: what cannot be rendered is not claimed either.
        return claimed, render(requested.notification, requested.channel, order)

    try:
        claimed, message = database.transact(claim)
    except AccountNotKnown as unknown:
        _find_out(database, permission.accounts, unknown.user_id)
        claimed, message = database.transact(claim)
    if message is not None:
        _send(database, sender, delivery, message)
        return
    match claimed:
        case NotificationClaim.UNCERTAIN:
            count(Metric.NOTIFICATIONS_UNCERTAIN)
            logger.error("A notification may or may not have been sent", extra=_names(delivery))
        case SuppressionReason():
            count(Metric.NOTIFICATIONS_SUPPRESSED)
            if claimed is SuppressionReason.STAGE_LIMIT:
                count(Metric.STAGE_LIMIT_REACHED)
            logger.warning("Notification was suppressed", reason=claimed, extra=_names(delivery))
        case _:
            logger.info("Notification was not sent", because=claimed, extra=_names(delivery))


def _find_out(database: Database, accounts: Accounts, user_id: str) -> None:
    """Nothing is claimed meanwhile: if the account cannot be found out, the event is delivered again later."""
    address = accounts.verified_address(user_id)
    database.transact_alone(lambda connection: limits.remember(connection, user_id, address))


def _send(
    database: Database, sender: NotificationSender, delivery: NotificationToSend, message: RenderedMessage
) -> None:
    try:
        provider_id = sender.send(message)
    except NotificationRefused as refusal:
        code = refusal.code
        database.transact(lambda connection: delivery.record_refused(connection, code))
        count(Metric.NOTIFICATIONS_FAILED)
        logger.error("Notification was refused for good", error=code, extra=_names(delivery))
    except NotSent as failure:
        code = failure.code
        database.transact(lambda connection: delivery.record_not_sent(connection, code))
        raise
    else:
        database.transact(lambda connection: delivery.record_sent(connection, provider_id))
        count(Metric.NOTIFICATIONS_SENT)
        logger.info("Notification sent", provider_id=provider_id, extra=_names(delivery))


def _names(delivery: NotificationToSend) -> dict[str, str]:
    return {"notification": delivery.notification, "channel": delivery.channel}
