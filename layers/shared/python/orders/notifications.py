"""Messages to customers: asking for them.

Each (order, type, channel) is a row, an event and a message of its own (promise I11): a channel that fails neither
blocks nor repeats another. `functions/notify` sends.
"""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import Channel, Notification
from orders.events import NotificationRequested, Trace
from orders.ids import uuid7


def request_parts(recipients: str) -> str:
    """SQL: the parts of a WITH that ask for a notification, as `request` does, of each order that `recipients` selects
    with its `id` and `contact_phone`. `request_parameters` gives their parameters.

    The part `queued` has a row for each channel on which the message was not asked for before.
    """
    return f"""
        recipient AS ({recipients}), asked AS (
            SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:claim_ids AS uuid[]),
                                 CAST(:event_ids AS uuid[]), CAST(:events AS jsonb[]))
                AS asked (channel, claim_id, event_id, event)
        ), queued AS (
            INSERT INTO notifications (id, order_id, type, channel, status, attempts, lease_until)
            SELECT claim_id, recipient.id, :notification, channel, 'QUEUED', 0, now()
            FROM recipient CROSS JOIN asked
            WHERE channel <> 'sms' OR contact_phone IS NOT NULL
            ON CONFLICT (order_id, type, channel) DO NOTHING
            RETURNING order_id, channel
        ), requested AS (
            INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
            SELECT event_id, :notification_requested, order_id, event, :correlation_id, :traceparent
            FROM queued JOIN asked USING (channel)
        )
    """


_REQUEST: Final = text(f"""
    WITH {request_parts("SELECT id, contact_phone FROM orders WHERE id = :order_id")}
    SELECT FROM queued
""")


def request(connection: Connection, order_id: UUID, notification: Notification, trace: Trace) -> None:
    """Asks, in the caller's transaction, for a message to the customer on every channel that the order has."""
    connection.execute(_REQUEST, {"order_id": order_id, **request_parameters(notification, trace)})


def request_parameters(notification: Notification, trace: Trace) -> dict[str, Any]:
    """The parameters of `request_parts`."""
    channels = list(Channel)
    events = [NotificationRequested(notification=notification, channel=channel) for channel in channels]
    return {
        "notification": notification,
        "channels": channels,
        "claim_ids": [uuid7() for _ in channels],
        "event_ids": [uuid7() for _ in channels],
        "events": [json.dumps(event.model_dump(mode="json", by_alias=True)) for event in events],
        "notification_requested": NotificationRequested.type,
        "correlation_id": trace.correlation_id,
        "traceparent": trace.traceparent,
    }
