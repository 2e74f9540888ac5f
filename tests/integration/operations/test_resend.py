"""A message of an order is sent again for an operator: only what is true, only to who may get it, within all limits."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.notify.limits import ChannelLimits
from orders import notifications
from orders.db import Database
from orders.domain import Channel, Notification
from orders.events import CloudEvent, NotificationRequested
from tests.integration.notify.fake_sender import PLENTY, FakeAccounts, FakeSender, permission
from tests.integration.notify.test_notify import deliver
from tests.integration.operations.support import ADMIN, OPERATOR, Operations
from tests.support.api import Answer
from tests.support.consumers import cloud_event
from tests.support.factories import EMAIL, TRACE, add_order, execute, rows


def ended(database: Database, status: str = "CONFIRMED") -> UUID:
    order_id = add_order(database)
    for step in ("PROCESSING", status):
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", id=order_id, status=step)
    return order_id


def told(database: Database, order_id: UUID, kind: Notification = Notification.ORDER_CONFIRMED) -> None:
    """Asks for the message and lets both channels send it."""
    database.transact(lambda connection: notifications.request(connection, order_id, kind, TRACE))
    for channel in Channel:
        deliver(database, FakeSender(), requested(order_id, kind, channel))


def requested(order_id: UUID, kind: Notification, channel: Channel) -> CloudEvent:
    return cloud_event(order_id, NotificationRequested(notification=kind, channel=channel))


def resend(operations: Operations, order_id: object, kind: str = "order_confirmed", **body: Any) -> Answer:
    return operations.admin.post(
        f"{ADMIN}/orders/{order_id}/notifications", {"type": kind, "channel": "email", **body}
    )


def mail(database: Database) -> dict[str, Any]:
    (found,) = rows(database, "SELECT * FROM notifications WHERE channel = 'email'")
    return found


def refusal(answer: Answer) -> str:
    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "notification-not-resendable")
    return str(answer.json["detail"])


def test_a_mail_is_sent_once_more_and_that_is_on_record(operations: Operations) -> None:
    database = operations.database
    order_id = ended(database)
    told(database, order_id)

    answer = resend(operations, order_id, note="they say that it never came")

    assert answer.status == 202
    assert answer.json == {
        "orderId": str(order_id),
        "type": "order_confirmed",
        "channel": "email",
        "status": "QUEUED",
    }
    (event,) = rows(
        database,
        "SELECT data, correlation_id FROM outbox WHERE type = :type ORDER BY id DESC LIMIT 1",
        type=NotificationRequested.type,
    )
    assert (event["data"]["notification"], event["data"]["channel"]) == ("order_confirmed", "email")
    sender = FakeSender()
    again = requested(order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL)
    for _ in range(2):
        deliver(database, sender, again)
    assert [message.to for message in sender.sent] == [EMAIL]
    assert (mail(database)["status"], mail(database)["attempts"]) == ("SENT", 1)
    (action,) = operations.actions()
    assert (action["action"], action["operator"]) == ("NOTIFICATION_RESENT", OPERATOR)
    assert (action["target"], action["order_id"]) == ("order_confirmed/email", order_id)
    assert (action["detail"], action["note"]) == ("was=SENT", "they say that it never came")


def test_what_is_asked_for_twice_is_sent_once(operations: Operations) -> None:
    order_id = ended(operations.database)
    told(operations.database, order_id)

    assert resend(operations, order_id).status == 202
    assert refusal(resend(operations, order_id)) == "The message is on its way: it is QUEUED"
    assert len(operations.actions()) == 1


def test_a_message_that_is_being_sent_is_left_alone_until_its_sender_is_gone(operations: Operations) -> None:
    order_id = ended(operations.database)
    told(operations.database, order_id)
    execute(
        operations.database,
        "UPDATE notifications SET status = 'SENDING', lease_until = now() + interval '1 minute'",
    )
    assert refusal(resend(operations, order_id)) == "The message is on its way: it is SENDING"

    execute(operations.database, "UPDATE notifications SET lease_until = now() - interval '1 second'")

    assert resend(operations, order_id).status == 202


def test_the_limits_of_an_hour_hold(operations: Operations) -> None:
    database = operations.database
    order_id = ended(database)
    database.transact(
        lambda connection: notifications.request(connection, order_id, Notification.ORDER_CONFIRMED, TRACE)
    )
    execute(database, "UPDATE notifications SET status = 'SENT', attempts = 1")
    one = ChannelLimits(recipient=1, user=10, stage=10, unconfirmed=0)
    allowed = permission(mail=one, text=PLENTY)

    statuses = []
    for _ in range(2):
        assert resend(operations, order_id).status == 202
        deliver(
            database, FakeSender(), requested(order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL), allowed
        )
        statuses.append((mail(database)["status"], mail(database)["error"]))

    assert statuses == [("SENT", None), ("SUPPRESSED", "RECIPIENT_LIMIT")]


def test_who_has_not_agreed_gets_nothing(operations: Operations) -> None:
    database = operations.database
    order_id = ended(database)
    told(database, order_id)
    nobody = permission(
        FakeAccounts({}), mail=ChannelLimits(recipient=10, user=10, stage=10, unconfirmed=0), text=PLENTY
    )
    execute(database, "DELETE FROM account_addresses")

    assert resend(operations, order_id).status == 202
    sender = FakeSender()
    deliver(database, sender, requested(order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL), nobody)

    assert sender.sent == []
    assert (mail(database)["status"], mail(database)["error"]) == ("SUPPRESSED", "RECIPIENT_NOT_CONFIRMED")


def test_an_address_that_bounced_gets_nothing_until_it_is_allowed(operations: Operations) -> None:
    database = operations.database
    order_id = ended(database)
    told(database, order_id)
    execute(
        database,
        "INSERT INTO suppressed_addresses (digest, address, reason) "
        "VALUES (address_digest(:address), :address, 'BOUNCED')",
        address=EMAIL,
    )
    execute(database, "UPDATE notifications SET status = 'BOUNCED' WHERE channel = 'email'")

    assert "BOUNCED" in refusal(resend(operations, order_id))
    assert resend(operations, order_id, channel="sms").status == 202, "it is of the address"
    assert operations.admin.delete(f"{ADMIN}/suppressed-addresses/{EMAIL}?note=asked").status == 204
    assert resend(operations, order_id).status == 202


def test_nobody_is_left_to_be_told_of_an_erased_order(operations: Operations) -> None:
    order_id = ended(operations.database)
    told(operations.database, order_id)
    execute(operations.database, "UPDATE orders SET contact_email = NULL, contact_phone = NULL")

    assert "erased" in refusal(resend(operations, order_id))
    assert operations.actions() == []


def test_what_is_not_true_any_more_is_not_told_again(operations: Operations) -> None:
    """A customer was told of a cancellation, and then an operator confirmed the order."""
    order_id = ended(operations.database)
    told(operations.database, order_id, Notification.PAYMENT_FAILED)

    assert "the order is CONFIRMED" in refusal(resend(operations, order_id, "payment_failed"))


@pytest.mark.parametrize(
    "body", [{"channel": "email", "type": "order_cancelled"}, {"refundId": str(uuid4())}]
)
def test_what_was_never_asked_for_is_not_found(operations: Operations, body: dict[str, Any]) -> None:
    order_id = ended(operations.database)
    told(operations.database, order_id)

    answer = operations.admin.post(
        f"{ADMIN}/orders/{order_id}/notifications", {"type": "order_confirmed", "channel": "email", **body}
    )

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "notification-not-found")


def test_an_unknown_order_is_not_found(operations: Operations) -> None:
    for order_id in (uuid4(), "nothing"):
        assert resend(operations, order_id).status == 404


def test_the_message_about_a_refund_is_found_by_its_refund(operations: Operations) -> None:
    database = operations.database
    order_id, other = ended(database), ended(database)
    refund_id = uuid4()
    execute(
        database,
        "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock, status, refunded_at) "
        "VALUES (:id, :order_id, 'OPERATOR', 'o', 'r', 500, false, 'COMPLETED', now())",
        id=refund_id,
        order_id=order_id,
    )
    execute(
        database,
        "INSERT INTO notifications (id, refund_id, type, channel, status, lease_until, sent_at) "
        "VALUES (gen_random_uuid(), :id, 'order_refunded', 'email', 'SENT', now(), now())",
        id=refund_id,
    )
    asked = {"kind": "order_refunded", "refundId": str(refund_id)}

    assert resend(operations, other, **asked).status == 404
    assert resend(operations, order_id, **asked).status == 202
    (event,) = rows(database, "SELECT data FROM outbox WHERE type = :type", type=NotificationRequested.type)
    assert event["data"]["refundId"] == str(refund_id)
    (action,) = operations.actions()
    assert action["detail"] == f"was=SENT refund={refund_id}"
