"""GET /orders/{orderId}/notifications: what the customer was told, and what became of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from functions.notify.notify import notify
from functions.notify.sending import NotificationRefused, NotSent
from functions.read_orders import queries
from orders import notifications
from orders.db import Database
from orders.domain import Channel, Notification
from orders.events import NotificationRequested
from tests.integration.notify.fake_sender import FakeSender, permission, raising
from tests.support.api import Client
from tests.support.consumers import notification_requested
from tests.support.factories import EMAIL, PHONE, TRACE, add_order, rows

TOLD = Notification.ORDER_CONFIRMED


@pytest.fixture
def order_id(database: Database) -> UUID:
    """An order whose customer is to be told of its confirmation, by mail and by text message."""
    order_id = add_order(database)
    database.transact(lambda connection: notifications.request(connection, order_id, TOLD, TRACE))
    return order_id


def deliver(database: Database, order_id: UUID, channel: Channel, sender: FakeSender) -> None:
    event = notification_requested(order_id, TOLD, channel)
    notify(database, sender, permission(), event, NotificationRequested.model_validate(event.data))


def test_what_is_asked_for_is_queued(alice: Client, order_id: UUID) -> None:
    answer = alice.get(f"/api/v1/orders/{order_id}/notifications")

    assert answer.status == 200
    assert answer.json["nextCursor"] is None
    mail, text = answer.json["items"]
    queued_at = datetime.fromisoformat(mail.pop("queuedAt"))
    assert abs(queued_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert mail == {
        "type": "order_confirmed",
        "channel": "email",
        "status": "QUEUED",
        "recipient": "a***@example.com",
        "attempts": 0,
        "providerId": None,
        "error": None,
        "refundId": None,
        "sentAt": None,
    }
    assert (text["channel"], text["status"], text["recipient"]) == ("sms", "QUEUED", "+***56")


def test_what_is_sent_has_the_provider_s_id(alice: Client, database: Database, order_id: UUID) -> None:
    for channel in Channel:
        deliver(database, order_id, channel, FakeSender())

    told = alice.get(f"/api/v1/orders/{order_id}/notifications").json["items"]

    assert [(each["status"], each["attempts"], each["providerId"]) for each in told] == [
        ("SENT", 1, "provider-1"),
        ("SENT", 1, "provider-1"),
    ]
    assert all(each["sentAt"] >= each["queuedAt"] for each in told)


def test_what_is_refused_says_why_and_what_is_throttled_is_queued_still(
    alice: Client, database: Database, order_id: UUID
) -> None:
    deliver(database, order_id, Channel.SMS, FakeSender(before=raising(NotificationRefused("OptedOut"))))
    with pytest.raises(NotSent):
        deliver(database, order_id, Channel.EMAIL, FakeSender(before=raising(NotSent("Throttling"))))

    mail, text = alice.get(f"/api/v1/orders/{order_id}/notifications").json["items"]

    assert (text["status"], text["error"], text["sentAt"]) == ("FAILED", "OptedOut", None)
    assert (mail["status"], mail["error"], mail["attempts"]) == ("QUEUED", "Throttling", 1)


def test_an_order_that_nobody_was_told_of_has_none(alice: Client, database: Database) -> None:
    answer = alice.get(f"/api/v1/orders/{add_order(database)}/notifications")

    assert (answer.status, answer.json["items"]) == (200, [])


def test_addresses_are_not_repeated(alice: Client, order_id: UUID) -> None:
    text = alice.get(f"/api/v1/orders/{order_id}/notifications").text

    assert EMAIL not in text
    assert PHONE not in text


@pytest.mark.parametrize(
    ("address", "shown"),
    [("alice@example.com", "a***@example.com"), ("a@b.cd", "a***@b.cd"), ("+34600123456", "+***56")],
)
def test_a_masked_address_tells_nothing_of_its_length(address: str, shown: str) -> None:
    assert queries.masked(address) == shown


def test_what_is_asked_for_is_what_is_published(database: Database, order_id: UUID) -> None:
    """One event for each row, with the order's correlation."""
    found = rows(
        database,
        "SELECT data, correlation_id, traceparent, status FROM outbox WHERE type = :type ORDER BY data ->> 'channel'",
        type=NotificationRequested.type,
    )

    assert found == [
        {
            "data": {"notification": "order_confirmed", "channel": channel},
            "correlation_id": TRACE.correlation_id,
            "traceparent": TRACE.traceparent,
            "status": "PENDING",
        }
        for channel in ("email", "sms")
    ]
