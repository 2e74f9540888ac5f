"""Personal data has an end: some time after an order's, or at once for a customer who asks for it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.create_order.place_order import place_order
from functions.maintenance.deadline import Deadline
from functions.maintenance.personal_data import erase_personal_data
from functions.notify.notify import notify
from functions.operations.orders.records import read_records
from functions.read_orders import handler as reads
from orders import erasure, notifications
from orders.db import Database
from orders.domain import Channel, Notification
from orders.errors import IdempotencyKeyReused
from orders.events import CloudEvent, NotificationRequested
from orders.payments.reconciliation import Verdict, reconcile
from payment_simulator.gateway import SimulatedGateway
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.integration.operations.support import ADMIN, OPERATOR, Aws, Operations
from tests.support.api import Client
from tests.support.consumers import notification_requested
from tests.support.factories import (
    ALICE,
    BOB,
    EMAIL,
    PHONE,
    TRACE,
    add_order,
    add_product,
    execute,
    order_body,
    order_request,
    rows,
)
from tests.support.payments import BEHAVIOUR
from tests.support.webhooks import URL, add_endpoint

RETENTION = timedelta(days=90)
A_MOMENT = timedelta(minutes=1)
PLENTY = Deadline(lambda: 60)
NO_TIME = Deadline(lambda: 1)
NOTE = "asked for in ticket 4711"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws.running() as aws:
        yield aws


@pytest.fixture
def operations(database: Database, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Operations:
    return Operations.deployed(database, aws, monkeypatch)


@pytest.fixture
def alice(database: Database, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(reads, "database", database)
    return Client(reads.handler)


def order(
    database: Database,
    status: str = "CONFIRMED",
    *,
    age: timedelta = timedelta(),
    user_id: str = ALICE,
    told: str | None = "SENT",
) -> UUID:
    """An order of a status that it has had for so long, with a notification in the state `told`."""
    order_id = add_order(database, user_id=user_id)
    for later in ("PROCESSING", status):
        execute(
            database,
            "UPDATE orders SET status = :status, updated_at = now() - CAST(:age AS interval) WHERE id = :id",
            status=later,
            age=age,
            id=order_id,
        )
    if told:
        execute(
            database,
            "INSERT INTO notifications (id, order_id, type, channel, status, provider_id, lease_until) "
            "VALUES (:id, :id, 'order_confirmed', 'email', :told, 'ses-1', now())",
            id=order_id,
            told=told,
        )
    return order_id


def add_payment(database: Database, order_id: UUID, status: str) -> None:
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency) "
        "VALUES (:id, 'order-' || CAST(:id AS text), :status, 2500, 'USD')",
        id=order_id,
        status=status,
    )


def add_recipient(database: Database, user_id: str, address: str) -> None:
    execute(
        database,
        "INSERT INTO recipients "
        "(id, user_id, channel, address, locale, confirmed_at, code_expires_at, key, fingerprint) "
        "VALUES (:id, :user_id, 'email', :address, 'en', now(), now(), 'key', 'fingerprint')",
        id=uuid4(),
        user_id=user_id,
        address=address,
    )


def kept(database: Database) -> set[UUID]:
    """The orders that still say whose they were."""
    found = rows(
        database,
        "SELECT id FROM orders WHERE contact_email IS NOT NULL AND payment_method IS NOT NULL",
    )
    return {row["id"] for row in found}


def in_the_database(database: Database) -> str:
    """All that there is, as text."""
    tables = rows(
        database,
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('public', 'gateway')",
    )
    return str([rows(database, f"SELECT * FROM {table['name']}") for table in tables])


def maintain(database: Database, retention: timedelta = RETENTION) -> int:
    return erase_personal_data(database, retention, PLENTY)


def deliver(database: Database, sender: FakeSender, event: CloudEvent) -> None:
    requested = event.payload()
    assert isinstance(requested, NotificationRequested)
    notify(database, sender, permission(), event, requested)


class TestRetention:
    @pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
    def test_an_order_that_ended_long_ago_says_no_more_whose_it_was(
        self, database: Database, status: str
    ) -> None:
        order(database, status, age=RETENTION + A_MOMENT)
        young = order(database, status, age=RETENTION - A_MOMENT)

        assert maintain(database) == 1

        assert kept(database) == {young}
        (erased,) = rows(database, "SELECT * FROM orders WHERE contact_email IS NULL")
        assert (erased["contact_phone"], erased["payment_method"]) == (None, None)
        assert (erased["user_id"], erased["status"], erased["total_amount"]) == (ALICE, status, 2500)
        assert erased["updated_at"] < erased["created_at"]
        assert [
            told["provider_id"] for told in rows(database, "SELECT * FROM notifications ORDER BY id")
        ] == [
            None,
            "ses-1",
        ]

    @pytest.mark.parametrize("told", ["QUEUED", "SENDING"])
    def test_nothing_is_erased_before_the_order_s_messages_are_out(
        self, database: Database, told: str
    ) -> None:
        order_id = order(database, age=10 * RETENTION, told=told)

        assert maintain(database) == 0
        assert kept(database) == {order_id}

        execute(database, "UPDATE notifications SET status = 'SENT'")
        assert maintain(database) == 1

    @pytest.mark.parametrize("payment", ["PENDING", "UNKNOWN"])
    def test_nothing_is_erased_before_the_payment_is_decided(self, database: Database, payment: str) -> None:
        order_id = order(database, "CANCELLED", age=10 * RETENTION)
        add_payment(database, order_id, payment)

        assert maintain(database) == 0

        execute(database, "UPDATE payments SET status = 'VOIDED'")
        assert maintain(database) == 1

    @pytest.mark.parametrize("status", ["PROCESSING", "NEEDS_REVIEW"])
    def test_an_order_that_has_not_ended_keeps_what_it_needs(self, database: Database, status: str) -> None:
        order_id = order(database, status, age=10 * RETENTION)

        assert maintain(database) == 0
        assert kept(database) == {order_id}

    def test_an_order_in_somebody_s_hands_waits_for_the_next_round(
        self, database: Database, credentials: Any
    ) -> None:
        order(database, age=RETENTION + A_MOMENT)
        other = Database(lambda: credentials)
        with other.engine.begin() as connection:
            connection.exec_driver_sql("SELECT FROM orders FOR UPDATE")
            assert maintain(database) == 0
        other.engine.dispose()
        assert maintain(database) == 1

    def test_many_are_erased_a_batch_at_a_time(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(erasure, "BATCH_SIZE", 2)
        for _ in range(5):
            order(database, age=RETENTION + A_MOMENT)

        assert database.transact(lambda connection: erasure.erase_aged(connection, RETENTION)) == 2
        assert maintain(database) == 3

    def test_a_round_without_time_begins_nothing(self, database: Database) -> None:
        order_id = order(database, age=RETENTION + A_MOMENT)

        assert erase_personal_data(database, RETENTION, NO_TIME) == 0
        assert kept(database) == {order_id}


class TestAnErasedOrder:
    """Everything that reads orders copes with one."""

    @pytest.fixture
    def erased(self, database: Database) -> UUID:
        order_id = order(database, "CANCELLED", age=RETENTION + A_MOMENT)
        assert maintain(database) == 1
        return order_id

    def test_its_owner_still_reads_it(self, alice: Client, erased: UUID) -> None:
        for path in (f"orders/{erased}", f"orders/{erased}/status", "orders"):
            assert alice.get(f"/api/v1/{path}").status == 200

    def test_its_notifications_have_no_recipient_any_more(self, alice: Client, erased: UUID) -> None:
        (told,) = alice.get(f"/api/v1/orders/{erased}/notifications").json["items"]

        assert (told["recipient"], told["providerId"], told["status"]) == (None, None, "SENT")

    def test_operators_still_read_it(self, database: Database, erased: UUID) -> None:
        assert read_records(database, erased).status == "CANCELLED"

    @pytest.mark.parametrize("channel", Channel)
    def test_a_message_that_comes_late_is_sent_to_nobody_and_is_no_poison(
        self, database: Database, erased: UUID, channel: Channel
    ) -> None:
        sender = FakeSender()
        event = notification_requested(erased, Notification.ORDER_CANCELLED, channel)

        for _ in range(2):
            deliver(database, sender, event)

        assert sender.sent == []
        (told,) = rows(database, "SELECT status, error FROM notifications WHERE type = 'order_cancelled'")
        assert told == {"status": "FAILED", "error": "ContactErased"}

    def test_a_message_that_was_sent_and_comes_again_is_no_poison_either(
        self, database: Database, erased: UUID
    ) -> None:
        sender = FakeSender()
        event = notification_requested(erased, Notification.ORDER_CONFIRMED)

        deliver(database, sender, event)

        assert sender.sent == []
        assert rows(database, "SELECT status FROM notifications") == [{"status": "SENT"}]

    def test_no_text_message_is_asked_for_without_a_number(self, database: Database, erased: UUID) -> None:
        database.transact(
            lambda connection: notifications.request(connection, erased, Notification.ORDER_CANCELLED, TRACE)
        )

        assert rows(database, "SELECT channel FROM notifications WHERE status = 'QUEUED'") == [
            {"channel": "email"}
        ]

    def test_its_payment_can_still_be_compared_with_the_gateway(
        self, database: Database, erased: UUID
    ) -> None:
        add_payment(database, erased, "VOIDED")
        gateway = SimulatedGateway(database, BEHAVIOUR)

        assert reconcile(database, gateway, erased).verdict is Verdict.AGREED


class TestACustomerWhoAsks:
    def erase(self, operations: Operations, user_id: str = ALICE) -> Any:
        answer = operations.admin.post(f"{ADMIN}/customers/{user_id}/erasure", {"note": NOTE})
        assert answer.status == 200, answer.text
        return answer.json

    def test_is_gone_from_every_table_and_the_books_stay(
        self, operations: Operations, database: Database
    ) -> None:
        for status in ("CONFIRMED", "CANCELLED"):
            order(database, status)
        add_endpoint(database)
        others = order(database, user_id=BOB)
        add_endpoint(database, user_id=BOB, url="https://bob.example.com/")
        fingerprints = {
            row["fingerprint"]
            for row in rows(database, "SELECT * FROM idempotency_keys WHERE user_id = :id", id=ALICE)
        }
        books = rows(database, "SELECT id, status, total_amount, user_id FROM orders ORDER BY id")

        assert self.erase(operations) == {
            "userId": ALICE,
            "ordersErased": 2,
            "ordersLeft": 0,
            "webhooksRemoved": 1,
            "complete": True,
        }

        assert kept(database) == {others}
        assert rows(database, "SELECT id, status, total_amount, user_id FROM orders ORDER BY id") == books
        execute(
            database,
            "UPDATE orders SET contact_email = NULL, contact_phone = NULL WHERE user_id = :id",
            id=BOB,
        )
        everything = in_the_database(database)
        for personal in (EMAIL, PHONE, URL, *fingerprints):
            assert personal not in everything
        assert "https://bob.example.com/" in everything

    @pytest.mark.parametrize("status", ["PROCESSING", "NEEDS_REVIEW"])
    def test_is_told_what_is_under_way_and_maintenance_erases_it_at_its_end(
        self, operations: Operations, database: Database, status: str
    ) -> None:
        order(database)
        under_way = order(database, status)

        report = self.erase(operations)

        assert (report["ordersErased"], report["ordersLeft"], report["complete"]) == (1, 1, False)
        assert kept(database) == {under_way}
        execute(database, "UPDATE erasure_requests SET requested_at = now() - interval '2 minutes'")
        execute(database, "UPDATE orders SET created_at = now() - interval '3 minutes'")
        assert maintain(database) == 0

        execute(database, "SELECT set_config('orders.operator', 'olivia', false)")
        execute(database, "UPDATE orders SET status = 'CANCELLED' WHERE id = :id", id=under_way)
        assert maintain(database) == 1
        assert kept(database) == set()

    def test_is_told_nowhere_else_any_more(self, operations: Operations, database: Database) -> None:
        """Neither a recipient from before the request is left, nor what Cognito said of the account."""
        order(database)
        for user_id, address in ((ALICE, "friend@alice.example"), (BOB, "friend@bob.example")):
            add_recipient(database, user_id, address)
            execute(
                database,
                "INSERT INTO account_addresses (user_id, address, asked_at) VALUES (:id, :address, now())",
                id=user_id,
                address=f"account-of-{address}",
            )

        self.erase(operations)

        everything = in_the_database(database)
        assert "friend@alice.example" not in everything
        assert {"friend@bob.example", "account-of-friend@bob.example"} <= {
            row["address"]
            for table in ("recipients", "account_addresses")
            for row in rows(database, f"SELECT address FROM {table}")
        }

    def test_need_not_have_ordered_anything(self, operations: Operations, database: Database) -> None:
        add_recipient(database, ALICE, "friend@alice.example")

        self.erase(operations)

        assert rows(database, "SELECT address FROM recipients") == []

    def test_may_confirm_a_recipient_afterwards(self, operations: Operations, database: Database) -> None:
        order(database, "PROCESSING")
        self.erase(operations)
        add_recipient(database, ALICE, "friend@alice.example")

        maintain(database)

        assert [row["address"] for row in rows(database, "SELECT address FROM recipients")] == [
            "friend@alice.example"
        ]

    def test_keeps_their_address_until_their_messages_are_out(
        self, operations: Operations, database: Database
    ) -> None:
        order(database, told="QUEUED")

        assert self.erase(operations)["ordersLeft"] == 1

        execute(database, "UPDATE notifications SET status = 'SENT'")
        assert maintain(database) == 1

    def test_who_orders_again_is_a_customer_like_any_other(
        self, operations: Operations, database: Database
    ) -> None:
        under_way = order(database, "PROCESSING")
        self.erase(operations)
        execute(database, "UPDATE erasure_requests SET requested_at = now() - interval '2 minutes'")
        execute(database, "UPDATE orders SET created_at = now() - interval '3 minutes'")
        later = order(database)
        add_endpoint(database)

        execute(database, "UPDATE orders SET status = 'CONFIRMED' WHERE id = :id", id=under_way)
        assert maintain(database) == 1

        assert kept(database) == {later}
        assert len(rows(database, "SELECT id FROM webhook_endpoints")) == 1
        assert rows(database, "SELECT * FROM erasure_requests") == []

    def test_is_remembered_for_a_minute_at_least_for_an_order_that_was_being_placed_meanwhile(
        self, operations: Operations, database: Database
    ) -> None:
        order(database)
        self.erase(operations)
        maintain(database)
        assert len(rows(database, "SELECT * FROM erasure_requests")) == 1

        execute(database, "UPDATE erasure_requests SET requested_at = now() - interval '2 minutes'")
        maintain(database)
        assert rows(database, "SELECT * FROM erasure_requests") == []

    def test_sends_a_request_again_and_no_second_order_is_made(
        self, operations: Operations, database: Database
    ) -> None:
        request = order_request(order_body([(add_product(database).product_id, 1)]), key="once")
        placed = place_order(database, request).order_id
        for status in ("PROCESSING", "CONFIRMED"):
            execute(database, "UPDATE orders SET status = :status", status=status)
        self.erase(operations)

        with pytest.raises(IdempotencyKeyReused):
            place_order(database, request)
        assert rows(database, "SELECT id FROM orders") == [{"id": placed}]

    def test_may_be_erased_again(self, operations: Operations, database: Database) -> None:
        order(database)

        assert [self.erase(operations)["ordersErased"] for _ in range(2)] == [1, 0]

    def test_has_many_orders_erased_a_batch_at_a_time(
        self, operations: Operations, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(erasure, "BATCH_SIZE", 2)
        for _ in range(5):
            order(database)

        assert self.erase(operations)["ordersErased"] == 5

    def test_who_erased_them_and_why_is_in_the_book_without_personal_data(
        self, operations: Operations, database: Database
    ) -> None:
        order(database)
        order(database, "PROCESSING")
        add_endpoint(database)

        self.erase(operations)

        (action,) = operations.actions()
        assert (action["action"], action["operator"], action["target"]) == (
            "CUSTOMER_ERASED",
            OPERATOR,
            ALICE,
        )
        assert (action["note"], action["detail"]) == (NOTE, "orders=2 under_way=1 webhooks=1")
        assert not any(personal in str(action) for personal in (EMAIL, PHONE, URL))

    def test_is_not_found_if_nothing_is_known_of_them(
        self, operations: Operations, database: Database
    ) -> None:
        answer = operations.admin.post(f"{ADMIN}/customers/{uuid4()}/erasure", {"note": NOTE})

        assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "customer-not-found")
        assert operations.actions() == rows(database, "SELECT * FROM erasure_requests") == []

    @pytest.mark.parametrize("body", [{}, {"note": ""}, {"note": "two\nlines"}, {"note": NOTE, "now": True}])
    def test_is_erased_for_a_reason_that_is_given(
        self, operations: Operations, database: Database, body: dict[str, object]
    ) -> None:
        order_id = order(database)

        assert operations.admin.post(f"{ADMIN}/customers/{ALICE}/erasure", body).status == 422
        assert kept(database) == {order_id}

    @pytest.mark.parametrize("groups", [None, "[support]"])
    def test_is_erased_by_an_administrator_only(
        self, operations: Operations, database: Database, groups: str | None
    ) -> None:
        order_id = order(database)
        stranger = Client(operations.admin.handler, groups=groups)

        assert stranger.post(f"{ADMIN}/customers/{ALICE}/erasure", {"note": NOTE}).status == 403
        assert kept(database) == {order_id}
