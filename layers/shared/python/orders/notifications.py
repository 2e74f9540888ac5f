"""Messages to customers: asking for them, and following what became of each.

Each (order, type, channel) is a row, an event and a message of its own (promise I11): a channel that fails neither
blocks nor repeats another. `functions/notify` sends.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import Channel, Notification, NotificationStatus
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

_TRACKED: Final = text("""
    SELECT orders.contact_email, orders.contact_phone, told.type, told.channel, told.status, told.attempts,
           told.provider_id, told.error, told.created_at, told.sent_at
    FROM orders LEFT JOIN notifications AS told ON told.order_id = orders.id
    WHERE orders.id = :order_id AND orders.user_id = coalesce(CAST(:user_id AS text), orders.user_id)
    ORDER BY told.created_at, told.type, told.channel
""")


@dataclass(frozen=True)
class Tracked:
    """One notification on one channel, as its order's owner and administrators may see it."""

    type: Notification
    channel: Channel
    status: NotificationStatus
    recipient: str
    """The address, masked: enough to recognise it, too little to use it."""
    attempts: int
    provider_id: str | None
    """The provider's id of it, once it has accepted it."""
    error: str | None
    """Why it is FAILED or UNCERTAIN, or not sent yet: the provider's code."""
    queued_at: datetime
    sent_at: datetime | None


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


def tracked(connection: Connection, order_id: UUID, user_id: str | None = None) -> list[Tracked] | None:
    """The order's notifications, first asked for first; None if there is no such order, or it is not the user's.

    Without a user it is anybody's order: for administrators.
    """
    found = connection.execute(_TRACKED, {"order_id": order_id, "user_id": user_id}).all()
    if not found:
        return None
    return [
        Tracked(
            type=Notification(row.type),
            channel=Channel(row.channel),
            status=NotificationStatus(row.status),
            recipient=masked(row.contact_phone if row.channel == Channel.SMS else row.contact_email),
            attempts=row.attempts,
            provider_id=row.provider_id,
            error=row.error,
            queued_at=row.created_at,
            sent_at=row.sent_at,
        )
        for row in found
        if row.type is not None
    ]


def masked(address: str) -> str:
    """`a***@example.com` of an e-mail address, `+***56` of a telephone number: never more or less, whatever its
    length."""
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain}" if at else f"+***{address[-2:]}"
