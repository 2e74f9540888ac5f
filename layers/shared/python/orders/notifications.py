"""Messages to customers: asking for them.

Each (order, type, channel) is a row, an event and a message of its own (promise I11): a channel that fails neither
blocks nor repeats another. `functions/notify` sends. An order may have several refunds, so the row of a refund's
message names the refund in place of the order.
"""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from orders import outbox
from orders.domain import Channel, MailFeedback, Notification, NotificationStatus, OrderStatus
from orders.errors import NotificationNotFound, NotificationNotResendable
from orders.events import NotificationRequested, Trace
from orders.ids import uuid7
from orders.suppressed_addresses import reason_of


def request_parts(recipients: str) -> str:
    """SQL: the parts of a WITH that ask for a notification, as `request` does, of the order that `recipients` selects
    with its `id` and `contact_phone`, of which there is one at most. `request_parameters` gives their parameters.

    The part `queued` has a row for each channel on which the message was not asked for before.
    """
    return f"""
        recipient AS ({recipients}), asked AS (
            SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:claim_ids AS uuid[]),
                                 CAST(:event_ids AS uuid[]), CAST(:events AS jsonb[]))
                AS asked (channel, claim_id, event_id, event)
        ), queued AS (
            INSERT INTO notifications (id, order_id, refund_id, type, channel, status, attempts, lease_until)
            SELECT claim_id, CASE WHEN CAST(:told_refund_id AS uuid) IS NULL THEN recipient.id END,
                   CAST(:told_refund_id AS uuid), :notification, channel, 'QUEUED', 0, now()
            FROM recipient CROSS JOIN asked
            WHERE channel <> 'sms' OR contact_phone IS NOT NULL
            ON CONFLICT DO NOTHING
            RETURNING channel
        ), requested AS (
            INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
            SELECT event_id, :notification_requested, recipient.id, event, :correlation_id, :traceparent
            FROM queued JOIN asked USING (channel) CROSS JOIN recipient
        )
    """


_REQUEST: Final = text(f"""
    WITH {request_parts("SELECT id, contact_phone FROM orders WHERE id = :order_id")}
    SELECT FROM queued
""")


def request(connection: Connection, order_id: UUID, notification: Notification, trace: Trace) -> None:
    """Asks, in the caller's transaction, for a message to the customer on every channel that the order has."""
    connection.execute(_REQUEST, {"order_id": order_id, **request_parameters(notification, trace)})


def request_parameters(
    notification: Notification, trace: Trace, refund_id: UUID | None = None
) -> dict[str, Any]:
    """The parameters of `request_parts`. The message is about the refund, if there is one, else about the order."""
    channels = list(Channel)
    events = [
        NotificationRequested(notification=notification, channel=channel, refund_id=refund_id)
        for channel in channels
    ]
    return {
        "notification": notification,
        "told_refund_id": refund_id,
        "channels": channels,
        "claim_ids": [uuid7() for _ in channels],
        "event_ids": [uuid7() for _ in channels],
        "events": [
            json.dumps(event.model_dump(mode="json", by_alias=True, exclude_none=True)) for event in events
        ],
        "notification_requested": NotificationRequested.type,
        "correlation_id": trace.correlation_id,
        "traceparent": trace.traceparent,
    }


_OF_ORDER: Final = "(order_id, type, channel) = (:order_id, :type, :channel)"
_OF_REFUND: Final = """(refund_id, type, channel) = (:refund_id, :type, :channel) AND EXISTS (
    SELECT FROM refunds WHERE refunds.id = :refund_id AND refunds.order_id = :order_id)"""


# The lock makes a sender and others who ask for the same wait. Who waited sees what they have left.
def _find(which: str) -> TextClause:
    return text(f"""
        SELECT told.id, told.status, told.lease_until > now() AS is_leased, orders.status AS order_status,
               orders.contact_email IS NULL AS is_erased,
               CASE told.channel WHEN 'email' THEN {reason_of("orders.contact_email")} END AS suppressed
        FROM (SELECT * FROM notifications WHERE {which} FOR UPDATE) AS told JOIN orders ON orders.id = :order_id
    """)


_FIND: Final = _find(_OF_ORDER)
_FIND_OF_REFUND: Final = _find(_OF_REFUND)
# No attempt is counted yet, so that the first one is counted against the recipient's limits again.
_QUEUE: Final = text("""
    UPDATE notifications SET status = 'QUEUED', attempts = 0, error = NULL, lease_until = now() WHERE id = :id
""")


# Nobody asks for it any more, so that nothing waits for it either: it can be asked for once more, or be erased.
def _give_up(which: str) -> TextClause:
    return text(
        f"UPDATE notifications SET status = 'FAILED', error = :error WHERE status = 'QUEUED' AND {which}"
    )


_GIVE_UP: Final = _give_up(_OF_ORDER)
_GIVE_UP_OF_REFUND: Final = _give_up(_OF_REFUND)


def request_again(
    connection: Connection,
    order_id: UUID,
    notification: Notification,
    channel: Channel,
    refund_id: UUID | None,
    trace: Trace,
) -> NotificationStatus:
    """Asks, in the caller's transaction, for a message that was asked for before; returns what had become of it.
    Whether it may be sent is decided when it is sent, as for any other: the recipient's consent and all limits hold.

    Raises:
        NotificationNotFound: nobody has asked for it before.
        NotificationNotResendable: see `refusal_to_resend`.
    """
    asked: dict[str, Any] = {"order_id": order_id, "type": notification, "channel": channel}
    find = _FIND
    if refund_id is not None:
        find, asked = _FIND_OF_REFUND, {**asked, "refund_id": refund_id}
    found = connection.execute(find, asked).first()
    if found is None:
        raise NotificationNotFound(
            "No such message was asked for: send again what the order's `notifications` show"
        )
    refused = refusal_to_resend(
        notification,
        NotificationStatus(found.status),
        OrderStatus(found.order_status),
        is_leased=found.is_leased,
        is_erased=found.is_erased,
        suppressed=MailFeedback(found.suppressed) if found.suppressed else None,
    )
    if refused is not None:
        raise refused
    connection.execute(_QUEUE, {"id": found.id})
    event = NotificationRequested(notification=notification, channel=channel, refund_id=refund_id)
    outbox.add(connection, order_id, event, trace)
    return NotificationStatus(found.status)


def refusal_to_resend(
    notification: Notification,
    status: NotificationStatus,
    order_status: OrderStatus,
    *,
    is_leased: bool,
    is_erased: bool,
    suppressed: MailFeedback | None,
) -> NotificationNotResendable | None:
    """Why a message that is `status` cannot be sent again; None if it can. `is_leased`: its sender may be at work."""
    if status is NotificationStatus.QUEUED or (status is NotificationStatus.SENDING and is_leased):
        return NotificationNotResendable(f"The message is on its way: it is {status}")
    if not notification.is_true_of(order_status):
        return NotificationNotResendable(f"The message is not true any more: the order is {order_status}")
    if is_erased:
        return NotificationNotResendable("Nobody is left to be told: the order's contact data is erased")
    if suppressed is not None:
        return NotificationNotResendable(
            f"The address gets no mail: it has {suppressed}. Allow it first, if its owner wants that"
        )
    return None


def give_up(connection: Connection, order_id: UUID, requested: NotificationRequested, error: str) -> None:
    """Marks a message FAILED that will never be sent, since the event that asks for it is discarded."""
    asked: dict[str, Any] = {
        "order_id": order_id,
        "type": requested.notification,
        "channel": requested.channel,
    }
    if requested.refund_id is None:
        connection.execute(_GIVE_UP, {**asked, "error": error})
    else:
        connection.execute(_GIVE_UP_OF_REFUND, {**asked, "error": error, "refund_id": requested.refund_id})
