"""Messages to customers: asking for them.

Each (order, type, channel) is a row, an event and a message of its own (promise I11): a channel that fails neither
blocks nor repeats another. `functions/notify` sends. An order may have several refunds, so the row of a refund's
message names the refund in place of the order.
"""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import Channel, Notification
from orders.events import NotificationRequested, Trace
from orders.ids import uuid7


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
