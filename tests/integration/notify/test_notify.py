"""At most one mail for each order and notification, whatever is delivered how often, and whoever dies on the way."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from functions.notify import templates
from functions.notify.deliveries import LEASE_SECONDS, Claimed, Delivery, SendingInProgress
from functions.notify.mailer import MailNotSent, MailRefused
from functions.notify.notify import notify
from orders.db import Credentials, Database
from orders.domain import Channel, Notification
from orders.errors import OrderNotFound
from orders.events import CloudEvent, NotificationRequested
from orders.ids import uuid7
from orders.observability import write_metrics
from tests.integration.notify.world import FakeMailer, Killed, end_leases, notification, processed, raising
from tests.support.consumers import notification_requested
from tests.support.factories import EMAIL, add_order, execute, rows
from tests.support.written import recorded


@pytest.fixture
def order_id(database: Database) -> UUID:
    return add_order(database)


@pytest.fixture
def confirmed(order_id: UUID) -> CloudEvent:
    return notification_requested(order_id, Notification.ORDER_CONFIRMED)


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


def deliver(database: Database, mailer: FakeMailer, event: CloudEvent) -> None:
    payload = event.payload()
    assert isinstance(payload, NotificationRequested)
    notify(database, mailer, event, payload)


def test_a_mail_is_sent_and_recorded(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    deliver(database, mailer, confirmed)
    (mail,) = mailer.sent
    assert mail.to == EMAIL
    assert mail.subject == "Your order is confirmed"
    assert str(order_id) in mail.body
    assert "USD 25.00" in mail.body
    sent = notification(database, order_id)
    assert (sent["type"], sent["channel"], sent["status"]) == ("order_confirmed", "email", "SENT")
    assert (sent["provider_id"], sent["error"], sent["attempts"]) == ("ses-1", None, 1)
    assert sent["sent_at"] >= sent["created_at"]
    assert processed(database) == [confirmed.id]


def test_the_mail_is_in_the_language_of_the_order(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    execute(database, "UPDATE orders SET locale = 'es'")
    deliver(database, mailer, confirmed)
    (mail,) = mailer.sent
    assert mail.subject == "Tu pedido está confirmado"
    assert "25,00 USD" in mail.body


@pytest.mark.parametrize("kind", list(Notification))
def test_every_kind_of_notification_is_sent(
    database: Database, mailer: FakeMailer, order_id: UUID, kind: Notification
) -> None:
    deliver(database, mailer, notification_requested(order_id, kind))
    assert len(mailer.sent) == 1
    assert notification(database, order_id)["type"] == kind


def test_an_event_delivered_again_sends_nothing(
    database: Database, mailer: FakeMailer, confirmed: CloudEvent
) -> None:
    for _ in range(3):
        deliver(database, mailer, confirmed)
    assert len(mailer.sent) == 1
    assert processed(database) == [confirmed.id]


def test_another_event_for_the_same_notification_sends_nothing(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    again = notification_requested(order_id, Notification.ORDER_CONFIRMED)
    deliver(database, mailer, confirmed)
    deliver(database, mailer, again)
    assert len(mailer.sent) == 1
    assert sorted(processed(database)) == sorted([confirmed.id, again.id])


def test_other_notifications_and_other_orders_are_sent(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    deliver(database, mailer, confirmed)
    deliver(database, mailer, notification_requested(order_id, Notification.ORDER_CANCELLED))
    deliver(database, mailer, notification_requested(add_order(database), Notification.ORDER_CONFIRMED))
    assert len(mailer.sent) == 3


def test_of_deliveries_at_once_one_sends(
    credentials: Credentials, database: Database, mailer: FakeMailer, confirmed: CloudEvent
) -> None:
    start = threading.Barrier(6)

    def at_once() -> bool:
        own = Database(lambda: credentials)
        start.wait()
        try:
            deliver(own, mailer, confirmed)
        except SendingInProgress:
            return False
        finally:
            own.engine.dispose()
        return True

    with ThreadPoolExecutor(6) as pool:
        succeeded = [future.result() for future in [pool.submit(at_once) for _ in range(6)]]
    assert any(succeeded)
    assert len(mailer.sent) == 1


def test_while_a_sender_may_be_alive_another_delivery_waits(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    mailer.after = raising(Killed())
    with pytest.raises(Killed):
        deliver(database, mailer, confirmed)
    (lease,) = rows(database, "SELECT lease_until - now() AS left FROM notifications")
    assert timedelta(seconds=LEASE_SECONDS - 10) < lease["left"] <= timedelta(seconds=LEASE_SECONDS)

    mailer.after = lambda: None
    with pytest.raises(SendingInProgress):
        deliver(database, mailer, confirmed)
    assert notification(database, order_id)["status"] == "SENDING"
    assert len(mailer.sent) == 1
    assert processed(database) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_mail_whose_sender_was_killed_is_never_sent_again_and_an_operator_decides(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent, moment: str
) -> None:
    setattr(mailer, moment, raising(Killed()))
    with pytest.raises(Killed):
        deliver(database, mailer, confirmed)
    setattr(mailer, moment, lambda: None)
    sent = len(mailer.sent)
    end_leases(database)

    with recorded() as written:
        deliver(database, mailer, confirmed)
        write_metrics()
    assert len(mailer.sent) == sent
    left = notification(database, order_id)
    assert (left["status"], left["error"]) == ("UNCERTAIN", "NoOutcomeRecorded")
    assert processed(database) == [confirmed.id]
    assert written.metrics == {"NotificationsUncertain": 1}
    (line,) = written.logs("A mail may or may not have been sent")
    assert line["level"] == "ERROR"

    with recorded() as written:
        deliver(database, mailer, confirmed)
        write_metrics()
    assert len(mailer.sent) == sent
    assert written.metrics == {}


def test_a_sender_that_was_given_up_and_ends_after_all_is_believed(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    def be_given_up() -> None:
        end_leases(database)
        deliver(database, FakeMailer(), confirmed)
        assert notification(database, order_id)["status"] == "UNCERTAIN"

    mailer.after = be_given_up
    deliver(database, mailer, confirmed)
    sent = notification(database, order_id)
    assert (sent["status"], sent["provider_id"], sent["error"]) == ("SENT", "ses-1", None)


def test_a_refusal_for_good_is_final_and_fails_no_message(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    mailer.before = raising(MailRefused("MessageRejected"))
    with recorded() as written:
        deliver(database, mailer, confirmed)
        write_metrics()
    refused = notification(database, order_id)
    assert (refused["status"], refused["error"], refused["sent_at"]) == ("FAILED", "MessageRejected", None)
    assert processed(database) == [confirmed.id]
    assert written.metrics == {"NotificationsFailed": 1}

    mailer.before = lambda: None
    deliver(database, mailer, confirmed)
    assert mailer.sent == []


def test_a_refusal_that_passes_fails_the_message_and_its_next_delivery_sends(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    mailer.before = raising(MailNotSent("Throttling"))
    for attempt in (1, 2):
        with pytest.raises(MailNotSent):
            deliver(database, mailer, confirmed)
        waiting = notification(database, order_id)
        assert (waiting["status"], waiting["error"], waiting["attempts"]) == ("FAILED", "Throttling", attempt)
    assert processed(database) == []

    mailer.before = lambda: None
    deliver(database, mailer, confirmed)
    sent = notification(database, order_id)
    assert (sent["status"], sent["error"], sent["attempts"]) == ("SENT", None, 3)
    assert len(mailer.sent) == 1
    deliver(database, mailer, confirmed)
    assert len(mailer.sent) == 1


def test_a_sender_killed_in_a_later_attempt_leaves_its_mail_uncertain_too(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    mailer.before = raising(MailNotSent("Throttling"))
    with pytest.raises(MailNotSent):
        deliver(database, mailer, confirmed)
    mailer.before, mailer.after = lambda: None, raising(Killed())
    with pytest.raises(Killed):
        deliver(database, mailer, confirmed)
    mailer.after = lambda: None
    with pytest.raises(SendingInProgress):
        deliver(database, mailer, confirmed)
    end_leases(database)
    deliver(database, mailer, confirmed)
    assert notification(database, order_id)["status"] == "UNCERTAIN"
    assert len(mailer.sent) == 1


def test_when_nobody_knows_whether_it_was_sent_it_is_not_sent_again(
    database: Database, mailer: FakeMailer, order_id: UUID, confirmed: CloudEvent
) -> None:
    mailer.after = raising(TimeoutError("no answer"))
    with pytest.raises(TimeoutError):
        deliver(database, mailer, confirmed)
    mailer.after = lambda: None
    end_leases(database)
    deliver(database, mailer, confirmed)
    assert notification(database, order_id)["status"] == "UNCERTAIN"
    assert len(mailer.sent) == 1


def test_an_event_of_no_order_is_refused_and_claims_nothing(database: Database, mailer: FakeMailer) -> None:
    with pytest.raises(OrderNotFound):
        deliver(database, mailer, notification_requested(uuid4(), Notification.ORDER_CONFIRMED))
    assert mailer.sent == []
    assert rows(database, "SELECT id FROM notifications") == []
    assert processed(database) == []


def test_a_mail_that_cannot_be_rendered_is_not_claimed(
    database: Database, mailer: FakeMailer, confirmed: CloudEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(templates, "_TEMPLATES", {})
        with pytest.raises(KeyError):
            deliver(database, mailer, confirmed)
    assert rows(database, "SELECT id FROM notifications") == []
    deliver(database, mailer, confirmed)
    assert len(mailer.sent) == 1


def test_a_claim_repeated_after_a_lost_commit_is_still_ours(database: Database, order_id: UUID) -> None:
    delivery = Delivery(uuid7(), uuid7(), order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL)
    for _ in range(2):
        claimed, _ = database.transact(delivery.claim)
        assert claimed is Claimed.OURS

    database.transact(lambda connection: delivery.record_not_sent(connection, "Throttling"))
    again = Delivery(uuid7(), delivery.event_id, order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL)
    for _ in range(2):
        claimed, _ = database.transact(again.claim)
        assert claimed is Claimed.OURS
    assert notification(database, order_id)["attempts"] == 2


def test_nothing_written_names_the_customer(
    database: Database, mailer: FakeMailer, confirmed: CloudEvent, order_id: UUID
) -> None:
    with recorded() as written:
        deliver(database, mailer, confirmed)
        write_metrics()
    assert written.metrics == {"NotificationsSent": 1}
    assert EMAIL not in written.text
    (line,) = written.logs("Mail sent")
    assert (line["notification"], line["provider_id"]) == ("order_confirmed", "ses-1")
