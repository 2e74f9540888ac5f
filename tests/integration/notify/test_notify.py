"""At most one message for each order, notification and channel, whatever is delivered how often, and whoever dies."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from jinja2 import UndefinedError

from functions.notify import limits, rendering
from functions.notify.notification_rows import (
    LEASE_SECONDS,
    NotificationClaim,
    NotificationToSend,
    SendingInProgress,
)
from functions.notify.notify import Permission, notify
from functions.notify.sending import NotificationRefused, NotSent
from orders import notifications
from orders.db import Credentials, Database
from orders.domain import Channel, Notification, SuppressionReason
from orders.errors import OrderNotFound, UnexpectedEvent
from orders.events import CloudEvent, NotificationRequested
from orders.ids import uuid7
from orders.observability import write_metrics
from tests.integration.notify.fake_sender import (
    FakeSender,
    Killed,
    end_leases,
    notification,
    permission,
    processed,
    raising,
)
from tests.support.consumers import cloud_event, notification_requested
from tests.support.factories import ALICE, EMAIL, PHONE, TRACE, add_order, execute, rows
from tests.support.written import recorded


@pytest.fixture
def order_id(database: Database) -> UUID:
    return add_order(database)


@pytest.fixture
def confirmed(order_id: UUID) -> CloudEvent:
    return notification_requested(order_id, Notification.ORDER_CONFIRMED)


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


def deliver(
    database: Database, sender: FakeSender, event: CloudEvent, allowed: Permission | None = None
) -> None:
    payload = event.payload()
    assert isinstance(payload, NotificationRequested)
    notify(database, sender, allowed or permission(), event, payload)


def test_a_mail_is_sent_and_recorded(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    deliver(database, sender, confirmed)
    (mail,) = sender.sent
    assert mail.to == EMAIL
    assert mail.subject == "Your order is confirmed"
    assert str(order_id) in mail.text
    assert "USD 25.00" in mail.text
    sent = notification(database, order_id)
    assert (sent["type"], sent["channel"], sent["status"]) == ("order_confirmed", "email", "SENT")
    assert (sent["provider_id"], sent["error"], sent["attempts"]) == ("provider-1", None, 1)
    assert sent["sent_at"] >= sent["created_at"]
    assert processed(database) == [confirmed.id]


def test_the_mail_is_in_the_language_of_the_order(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    execute(database, "UPDATE orders SET locale = 'es'")
    deliver(database, sender, confirmed)
    (mail,) = sender.sent
    assert mail.subject == "Tu pedido está confirmado"
    assert "25,00 USD" in mail.text


@pytest.mark.parametrize("kind", sorted(set(Notification) - {Notification.ORDER_REFUNDED}))
def test_every_kind_of_notification_is_sent(
    database: Database, sender: FakeSender, order_id: UUID, kind: Notification
) -> None:
    deliver(database, sender, notification_requested(order_id, kind))
    assert len(sender.sent) == 1
    assert notification(database, order_id)["type"] == kind


def test_an_event_delivered_again_sends_nothing(
    database: Database, sender: FakeSender, confirmed: CloudEvent
) -> None:
    for _ in range(3):
        deliver(database, sender, confirmed)
    assert len(sender.sent) == 1
    assert processed(database) == [confirmed.id]


def test_another_event_for_the_same_notification_sends_nothing(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    again = notification_requested(order_id, Notification.ORDER_CONFIRMED)
    deliver(database, sender, confirmed)
    deliver(database, sender, again)
    assert len(sender.sent) == 1
    assert sorted(processed(database)) == sorted([confirmed.id, again.id])


def test_other_notifications_and_other_orders_are_sent(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    deliver(database, sender, confirmed)
    deliver(database, sender, notification_requested(order_id, Notification.ORDER_CANCELLED))
    deliver(database, sender, notification_requested(add_order(database), Notification.ORDER_CONFIRMED))
    assert len(sender.sent) == 3


def test_of_deliveries_at_once_one_sends(
    credentials: Credentials, database: Database, sender: FakeSender, confirmed: CloudEvent
) -> None:
    start = threading.Barrier(6)

    def at_once() -> bool:
        own = Database(lambda: credentials)
        start.wait()
        try:
            deliver(own, sender, confirmed)
        except SendingInProgress:
            return False
        finally:
            own.engine.dispose()
        return True

    with ThreadPoolExecutor(6) as pool:
        succeeded = [future.result() for future in [pool.submit(at_once) for _ in range(6)]]
    assert any(succeeded)
    assert len(sender.sent) == 1


def test_while_a_sender_may_be_alive_another_delivery_waits(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    sender.after = raising(Killed())
    with pytest.raises(Killed):
        deliver(database, sender, confirmed)
    (lease,) = rows(database, "SELECT lease_until - now() AS left FROM notifications")
    assert timedelta(seconds=LEASE_SECONDS - 10) < lease["left"] <= timedelta(seconds=LEASE_SECONDS)

    sender.after = lambda: None
    with pytest.raises(SendingInProgress):
        deliver(database, sender, confirmed)
    assert notification(database, order_id)["status"] == "SENDING"
    assert len(sender.sent) == 1
    assert processed(database) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_mail_whose_sender_was_killed_is_never_sent_again_and_an_operator_decides(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent, moment: str
) -> None:
    setattr(sender, moment, raising(Killed()))
    with pytest.raises(Killed):
        deliver(database, sender, confirmed)
    setattr(sender, moment, lambda: None)
    sent = len(sender.sent)
    end_leases(database)

    with recorded() as written:
        deliver(database, sender, confirmed)
        write_metrics()
    assert len(sender.sent) == sent
    left = notification(database, order_id)
    assert (left["status"], left["error"]) == ("UNCERTAIN", "NoOutcomeRecorded")
    assert processed(database) == [confirmed.id]
    assert written.metrics == {"NotificationsUncertain": 1}
    (line,) = written.logs("A notification may or may not have been sent")
    assert line["level"] == "ERROR"

    with recorded() as written:
        deliver(database, sender, confirmed)
        write_metrics()
    assert len(sender.sent) == sent
    assert written.metrics == {}


def test_a_sender_that_was_given_up_and_ends_after_all_is_believed(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    def be_given_up() -> None:
        end_leases(database)
        deliver(database, FakeSender(), confirmed)
        assert notification(database, order_id)["status"] == "UNCERTAIN"

    sender.after = be_given_up
    deliver(database, sender, confirmed)
    sent = notification(database, order_id)
    assert (sent["status"], sent["provider_id"], sent["error"]) == ("SENT", "provider-1", None)


def test_a_refusal_for_good_is_final_and_fails_no_message(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    sender.before = raising(NotificationRefused("MessageRejected"))
    with recorded() as written:
        deliver(database, sender, confirmed)
        write_metrics()
    refused = notification(database, order_id)
    assert (refused["status"], refused["error"], refused["sent_at"]) == ("FAILED", "MessageRejected", None)
    assert processed(database) == [confirmed.id]
    assert written.metrics == {"NotificationsFailed": 1}

    sender.before = lambda: None
    deliver(database, sender, confirmed)
    assert sender.sent == []


def test_a_refusal_that_passes_fails_the_message_and_its_next_delivery_sends(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    sender.before = raising(NotSent("Throttling"))
    for attempt in (1, 2):
        with pytest.raises(NotSent):
            deliver(database, sender, confirmed)
        waiting = notification(database, order_id)
        assert (waiting["status"], waiting["error"], waiting["attempts"]) == ("QUEUED", "Throttling", attempt)
    assert processed(database) == []

    sender.before = lambda: None
    deliver(database, sender, confirmed)
    sent = notification(database, order_id)
    assert (sent["status"], sent["error"], sent["attempts"]) == ("SENT", None, 3)
    assert len(sender.sent) == 1
    deliver(database, sender, confirmed)
    assert len(sender.sent) == 1


def test_a_sender_killed_in_a_later_attempt_leaves_its_mail_uncertain_too(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    sender.before = raising(NotSent("Throttling"))
    with pytest.raises(NotSent):
        deliver(database, sender, confirmed)
    sender.before, sender.after = lambda: None, raising(Killed())
    with pytest.raises(Killed):
        deliver(database, sender, confirmed)
    sender.after = lambda: None
    with pytest.raises(SendingInProgress):
        deliver(database, sender, confirmed)
    end_leases(database)
    deliver(database, sender, confirmed)
    assert notification(database, order_id)["status"] == "UNCERTAIN"
    assert len(sender.sent) == 1


def test_when_nobody_knows_whether_it_was_sent_it_is_not_sent_again(
    database: Database, sender: FakeSender, order_id: UUID, confirmed: CloudEvent
) -> None:
    sender.after = raising(TimeoutError("no answer"))
    with pytest.raises(TimeoutError):
        deliver(database, sender, confirmed)
    sender.after = lambda: None
    end_leases(database)
    deliver(database, sender, confirmed)
    assert notification(database, order_id)["status"] == "UNCERTAIN"
    assert len(sender.sent) == 1


def test_an_event_of_no_order_is_refused_and_claims_nothing(database: Database, sender: FakeSender) -> None:
    with pytest.raises(OrderNotFound):
        deliver(database, sender, notification_requested(uuid4(), Notification.ORDER_CONFIRMED))
    assert sender.sent == []
    assert rows(database, "SELECT id FROM notifications") == []
    assert processed(database) == []


def test_a_message_that_cannot_be_rendered_is_not_claimed(
    database: Database,
    sender: FakeSender,
    confirmed: CloudEvent,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "mail.txt").write_text("Dear {{ customer }}")
    with monkeypatch.context() as patch:
        patch.setattr(rendering, "_TEMPLATES", tmp_path)
        rendering._environment.cache_clear()
        with pytest.raises(UndefinedError):
            deliver(database, sender, confirmed)
    rendering._environment.cache_clear()
    assert rows(database, "SELECT id FROM notifications") == []
    deliver(database, sender, confirmed)
    assert len(sender.sent) == 1


def claim(database: Database, delivery: NotificationToSend) -> NotificationClaim | SuppressionReason:
    claimed, _ = database.transact(lambda connection: delivery.claim(connection, permission().limits))
    return claimed


def test_a_claim_repeated_after_a_lost_commit_is_still_ours(database: Database, order_id: UUID) -> None:
    database.transact(lambda connection: limits.remember(connection, ALICE, EMAIL))
    delivery = NotificationToSend(uuid7(), uuid7(), order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL)
    for _ in range(2):
        claimed = claim(database, delivery)
        assert claimed is NotificationClaim.OURS

    database.transact(lambda connection: delivery.record_not_sent(connection, "Throttling"))
    again = NotificationToSend(
        uuid7(), delivery.event_id, order_id, Notification.ORDER_CONFIRMED, Channel.EMAIL
    )
    for _ in range(2):
        claimed = claim(database, again)
        assert claimed is NotificationClaim.OURS
    assert notification(database, order_id)["attempts"] == 2


def test_nothing_written_names_the_customer(
    database: Database, sender: FakeSender, confirmed: CloudEvent, order_id: UUID
) -> None:
    with recorded() as written:
        deliver(database, sender, confirmed)
        write_metrics()
    assert written.metrics == {"NotificationsSent": 1}
    assert EMAIL not in written.text
    (line,) = written.logs("Notification sent")
    assert (line["notification"], line["channel"]) == ("order_confirmed", "email")
    assert line["provider_id"] == "provider-1"


class TestChannels:
    """Each channel is asked for, claimed, sent and recorded by itself."""

    def test_an_order_with_a_telephone_is_told_by_mail_and_by_text_message(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        for event in asked(database, order_id):
            assert notified(database, order_id, event)["status"] == "QUEUED"
            deliver(database, sender, event)
        assert [(message.to, bool(message.html)) for message in sender.sent] == [
            (EMAIL, True),
            (PHONE, False),
        ]
        assert [
            (told["channel"], told["status"], told["attempts"], told["provider_id"])
            for told in rows(database, "SELECT * FROM notifications ORDER BY channel")
        ] == [("email", "SENT", 1, "provider-1"), ("sms", "SENT", 1, "provider-2")]

    def test_an_order_without_one_is_told_by_mail(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        execute(database, "UPDATE orders SET contact_phone = NULL")
        (event,) = asked(database, order_id)
        deliver(database, sender, event)
        assert [message.to for message in sender.sent] == [EMAIL]

    def test_asking_again_asks_for_nothing(self, database: Database, order_id: UUID) -> None:
        first = [event.id for event in asked(database, order_id)]
        assert [event.id for event in asked(database, order_id)] == first

    @pytest.mark.parametrize(
        "failure", [NotificationRefused("OptedOut"), NotSent("Throttling"), TimeoutError()], ids=repr
    )
    def test_a_text_message_that_fails_neither_blocks_nor_repeats_the_mail(
        self, database: Database, sender: FakeSender, order_id: UUID, failure: Exception
    ) -> None:
        mail, text = asked(database, order_id)
        sender.before = raising(failure)
        with suppress(NotSent, TimeoutError):
            deliver(database, sender, text)
        sender.before = lambda: None
        for _ in range(2):
            deliver(database, sender, mail)
        assert [message.to for message in sender.sent] == [EMAIL]
        assert notified(database, order_id, mail)["status"] == "SENT"
        assert notified(database, order_id, text)["status"] != "SENT"

    def test_a_throttled_text_message_is_sent_by_its_next_delivery_and_the_mail_is_not_repeated(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        mail, text = asked(database, order_id)
        deliver(database, sender, mail)
        sender.before = raising(NotSent("Throttled"))
        with pytest.raises(NotSent):
            deliver(database, sender, text)
        sender.before = lambda: None
        deliver(database, sender, text)
        assert [message.to for message in sender.sent] == [EMAIL, PHONE]
        assert notified(database, order_id, text)["attempts"] == 2

    def test_an_event_from_before_there_were_text_messages_is_for_a_mail(self, order_id: UUID) -> None:
        event = cloud_event(order_id, NotificationRequested(notification=Notification.ORDER_CONFIRMED))
        before = event.model_copy(update={"data": {"notification": "order_confirmed"}})
        assert before.payload() == NotificationRequested(
            notification=Notification.ORDER_CONFIRMED, channel=Channel.EMAIL
        )

    def test_a_text_message_for_an_order_without_a_telephone_is_refused_and_claims_nothing(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        execute(database, "UPDATE orders SET contact_phone = NULL")
        text = notification_requested(order_id, Notification.ORDER_CONFIRMED, Channel.SMS)
        with pytest.raises(UnexpectedEvent):
            deliver(database, sender, text)
        assert rows(database, "SELECT id FROM notifications") == []


def asked(database: Database, order_id: UUID) -> list[CloudEvent]:
    """Asks for the confirmation as the saga does; answers its events, the mail's first."""
    database.transact(
        lambda connection: notifications.request(connection, order_id, Notification.ORDER_CONFIRMED, TRACE)
    )
    found = rows(
        database,
        "SELECT * FROM outbox WHERE subject = :order_id AND type = :type ORDER BY data ->> 'channel'",
        order_id=order_id,
        type=NotificationRequested.type,
    )
    return [
        cloud_event(order_id, NotificationRequested.model_validate(row["data"])).model_copy(
            update={"id": row["id"]}
        )
        for row in found
    ]


def notified(database: Database, order_id: UUID, event: CloudEvent) -> dict[str, Any]:
    """The row of the event's notification."""
    (found,) = rows(
        database,
        "SELECT * FROM notifications WHERE order_id = :order_id AND channel = :channel",
        order_id=order_id,
        channel=event.data["channel"],
    )
    return found


class TestRefunds:
    """What tells of a refund names it: an order has several, and each is told of once on each channel."""

    def refund(self, database: Database, order_id: UUID, lines: int = 1) -> UUID:
        refund_id = uuid7()
        execute(
            database,
            "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock, status) "
            "VALUES (:id, :order_id, 'OPERATOR', 'operator', 'a reason of ours', 1250, false, 'COMPLETED')",
            id=refund_id,
            order_id=order_id,
        )
        execute(
            database,
            "INSERT INTO refund_lines (refund_id, product_id, quantity) "
            "SELECT :id, product_id, 1 FROM order_items WHERE order_id = :order_id LIMIT :lines",
            id=refund_id,
            order_id=order_id,
            lines=lines,
        )
        return refund_id

    def event(self, order_id: UUID, refund_id: UUID | None, channel: Channel = Channel.EMAIL) -> CloudEvent:
        told = NotificationRequested(
            notification=Notification.ORDER_REFUNDED, channel=channel, refund_id=refund_id
        )
        return cloud_event(order_id, told)

    def test_the_mail_has_the_refund_s_amount_and_lines(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        deliver(database, sender, self.event(order_id, self.refund(database, order_id)))

        (mail,) = sender.sent
        assert mail.subject == "We have refunded your order"
        assert "1 × Coffee beans" in mail.text
        assert "Refunded: USD 12.50" in mail.text
        assert "25.00" not in mail.text
        assert "a reason of ours" not in mail.text + mail.html

    def test_an_amount_alone_has_no_table(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        deliver(database, sender, self.event(order_id, self.refund(database, order_id, lines=0)))

        (mail,) = sender.sent
        assert "Refunded: USD 12.50" in mail.text
        assert "Coffee" not in mail.text + mail.html
        assert "<thead>" not in mail.html

    def test_it_is_told_in_the_order_s_language_and_by_text_message(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        execute(database, "UPDATE orders SET locale = 'es'")
        refund_id = self.refund(database, order_id)
        execute(
            database,
            "INSERT INTO recipients (id, user_id, channel, address, locale, confirmed_at, code_expires_at, key, "
            "fingerprint) VALUES (:id, :user_id, 'sms', :phone, 'es', now(), now(), 'k', 'f')",
            id=uuid7(),
            user_id=ALICE,
            phone=PHONE,
        )

        deliver(database, sender, self.event(order_id, refund_id))
        deliver(database, sender, self.event(order_id, refund_id, Channel.SMS))

        mail, message = sender.sent
        assert "Reembolsado: 12,50 USD" in mail.text
        assert "Te hemos reembolsado tu pedido" in message.text
        assert "12,50 USD" in message.text
        assert f"Reembolso: {refund_id}" in mail.text
        assert str(refund_id) in message.text
        assert len(message.text) <= 160, "one text message"

    def test_each_refund_is_told_of_once(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        first, second = self.refund(database, order_id), self.refund(database, order_id)

        for refund_id in (first, first, second):
            deliver(database, sender, self.event(order_id, refund_id))

        assert len(sender.sent) == 2
        told = rows(database, "SELECT refund_id, order_id FROM notifications WHERE refund_id IS NOT NULL")
        assert {row["refund_id"] for row in told} == {first, second}
        assert {row["order_id"] for row in told} == {None}

    def test_a_refund_of_another_order_is_none(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        other = self.refund(database, add_order(database))

        with pytest.raises(OrderNotFound):
            deliver(database, sender, self.event(order_id, other))
        assert sender.sent == []

    def test_a_message_without_its_refund_is_poison(
        self, database: Database, sender: FakeSender, order_id: UUID
    ) -> None:
        with pytest.raises(UnexpectedEvent):
            deliver(database, sender, self.event(order_id, None))
