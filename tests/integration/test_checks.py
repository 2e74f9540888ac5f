"""An auditor that finds nothing is only worth something if it finds what is planted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from orders import inventory, outbox, refunds, saga
from orders.db import Database
from orders.domain import FORWARD_STEPS, Notification, RefundOrigin, SagaStep
from orders.errors import PaymentDeclined
from orders.events import NotificationRequested, WebhookAttemptScheduled
from orders.ids import uuid7
from tests.support.factories import TRACE, Product, add_order, add_product, execute, rows
from tools.audit.database import (
    EVERY_ORDER,
    PROMISES,
    Charge,
    Scope,
    broken_at_once,
    charges,
    check_database,
    snapshot,
    unsettled,
)
from tools.audit.ledger import Entry, of_entries
from tools.audit.verdict import Verdict

TTL_SECONDS = 900


@dataclass(frozen=True)
class Audited:
    """One confirmed and one cancelled order of two units each, both at rest, in books without a fault."""

    database: Database
    product: Product
    confirmed: UUID
    cancelled: UUID

    def audit(self, scope: Scope = EVERY_ORDER) -> dict[str, Verdict]:
        return {verdict.promise: verdict for verdict in check_database(self.database.engine, scope)}

    def broken(self, scope: Scope = EVERY_ORDER) -> dict[str, list[str]]:
        """The problems found, by promise."""
        return {
            number: [violation.problem for violation in verdict.violations]
            for number, verdict in self.audit(scope).items()
            if not verdict.holds
        }

    def execute(self, sql: str, **parameters: object) -> None:
        execute(self.database, sql, **parameters)

    def unguarded(self, table: str, constraint: str, sql: str, **parameters: object) -> None:
        """Plants what a constraint would refuse."""
        self.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
        self.execute(sql, **parameters)


@pytest.fixture
def audited(database: Database) -> Audited:
    product = add_product(database)
    confirmed = add_order(database, [(product, 2)])
    cancelled = add_order(database, [(product, 2)])
    _confirm(database, confirmed)
    _cancel(database, cancelled)
    return Audited(database, product, confirmed, cancelled)


def _confirm(database: Database, order_id: UUID) -> None:
    """What a saga without a failure leaves behind."""
    _move(database, order_id, "PROCESSING")
    database.transact(lambda connection: inventory.reserve(connection, order_id, TTL_SECONDS))
    _charge(database, order_id)
    database.transact(lambda connection: inventory.confirm(connection, order_id))
    database.transact(lambda connection: [saga.begin(connection, order_id, step) for step in FORWARD_STEPS])
    _move(database, order_id, "CONFIRMED")
    _publish_and_notify(database, order_id, Notification.ORDER_CONFIRMED)


def _cancel(database: Database, order_id: UUID) -> None:
    """What a declined payment leaves behind."""
    _move(database, order_id, "PROCESSING")
    database.transact(lambda connection: inventory.reserve(connection, order_id, TTL_SECONDS))
    declined = PaymentDeclined("declined")
    database.transact(
        lambda connection: saga.record_failure(connection, order_id, SagaStep.PROCESS_PAYMENT, declined)
    )
    database.transact(lambda connection: inventory.release(connection, order_id))
    database.transact(
        lambda connection: saga.record_compensation(connection, order_id, SagaStep.MARK_CANCELLED)
    )
    _move(database, order_id, "CANCELLED", "PAYMENT_DECLINED")
    _publish_and_notify(database, order_id, Notification.PAYMENT_FAILED)


def _move(database: Database, order_id: UUID, status: str, reason: str | None = None) -> None:
    execute(
        database,
        "UPDATE orders SET status = :status, failure_reason = :reason WHERE id = :order_id",
        status=status,
        reason=reason,
        order_id=order_id,
    )


def _charge(database: Database, order_id: UUID) -> None:
    key = str(order_id)
    execute(
        database,
        """
        INSERT INTO payments (order_id, provider_key, status, amount, currency, captured)
        SELECT id, :key, 'CAPTURED', total_amount, currency, total_amount FROM orders WHERE id = :order_id
        """,
        order_id=order_id,
        key=key,
    )
    execute(
        database,
        """
        INSERT INTO gateway.payments (key, payment_id, status, attempts, amount, currency)
        SELECT :key, :payment_id, 'CAPTURED', 1, total_amount, currency FROM orders WHERE id = :order_id
        """,
        order_id=order_id,
        key=key,
        payment_id=uuid7(),
    )
    _enter(database, order_id, "CAPTURE")


def _enter(database: Database, order_id: UUID, kind: str) -> None:
    """One more entry over the full amount in the gateway's ledger."""
    execute(
        database,
        "INSERT INTO gateway.entries (key, kind, amount) SELECT key, :kind, amount FROM gateway.payments "
        "WHERE key = :key",
        key=str(order_id),
        kind=kind,
    )


def _publish_and_notify(database: Database, order_id: UUID, notification: Notification) -> None:
    requested = NotificationRequested(notification=notification)
    database.transact(lambda connection: outbox.add(connection, order_id, requested, TRACE))
    execute(
        database,
        "UPDATE outbox SET status = 'PUBLISHED', published_at = now() WHERE subject = :order_id",
        order_id=order_id,
    )
    execute(
        database,
        "INSERT INTO inbox (consumer, event_id) SELECT 'notify', id FROM outbox WHERE subject = :order_id "
        "AND type = :type",
        order_id=order_id,
        type=NotificationRequested.type,
    )
    execute(
        database,
        "INSERT INTO notifications (id, order_id, type, channel, status, lease_until) "
        "VALUES (:id, :order_id, :type, 'email', 'SENT', now())",
        id=uuid7(),
        order_id=order_id,
        type=str(notification),
    )


def test_books_without_a_fault_keep_every_promise(audited: Audited) -> None:
    assert audited.broken() == {}
    assert {number: verdict.checked for number, verdict in audited.audit().items()} == {
        "I1": 2,
        "I2": 1,
        "I3": 2,
        "I4": 1,
        "I5": 2,
        "I7": 2,
        "I8": 4,
        "I9": 6,  # two deliveries, two notifications asked for, two reservations
        "I10": 2,
        "I11": 2,
        "I13": 0,
    }


def test_an_empty_database_keeps_every_promise_by_having_nothing_to_check(database: Database) -> None:
    verdicts = check_database(database.engine)
    assert [verdict.promise for verdict in verdicts] == [promise.number for promise in PROMISES]
    assert all(verdict.holds and verdict.checked == 0 for verdict in verdicts)


def _plant_order_without_event(audited: Audited) -> None:
    audited.execute(
        "DELETE FROM outbox WHERE subject = :id AND type LIKE '%order.created%'", id=audited.confirmed
    )


def _plant_second_event(audited: Audited) -> None:
    audited.execute(
        """
        INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, published_at)
        SELECT :id, type, subject, data, correlation_id, traceparent, status, published_at
        FROM outbox WHERE subject = :order_id AND type LIKE '%order.created%'
        """,
        id=uuid7(),
        order_id=audited.confirmed,
    )


def _plant_double_capture(audited: Audited) -> None:
    # Given back, so that only the second capture itself is wrong.
    _enter(audited.database, audited.confirmed, "CAPTURE")
    _enter(audited.database, audited.confirmed, "REFUND")


def _plant_charge_of_nobody(audited: Audited) -> None:
    audited.execute("DELETE FROM payments WHERE order_id = :id", id=audited.confirmed)


def _plant_refund_of_a_confirmed_order(audited: Audited) -> None:
    _enter(audited.database, audited.confirmed, "REFUND")


def _plant_charge_of_a_cancelled_order(audited: Audited) -> None:
    _charge(audited.database, audited.cancelled)


def _plant_stock_that_does_not_add_up(audited: Audited) -> None:
    audited.unguarded("stock", "stock_adds_up_check", "UPDATE stock SET available = available - 1")


def _plant_negative_stock(audited: Audited) -> None:
    audited.unguarded(
        "stock",
        "stock_never_negative_check",
        "UPDATE stock SET available = -1, stocked = reserved + sold - 1",
    )


def _plant_stock_sold_to_nobody(audited: Audited) -> None:
    audited.execute("UPDATE stock SET available = available - 1, sold = sold + 1")


def _plant_live_reservation(audited: Audited) -> None:
    """As if the release had never happened, anywhere."""
    audited.execute("UPDATE reservations SET status = 'ACTIVE' WHERE order_id = :id", id=audited.cancelled)
    audited.execute(
        "DELETE FROM stock_movements WHERE order_id = :id AND kind = 'RELEASED'", id=audited.cancelled
    )
    audited.execute("UPDATE stock SET available = available - 2, reserved = reserved + 2")


def _plant_confirmed_order_that_bought_nothing(audited: Audited) -> None:
    audited.execute("DELETE FROM reservations WHERE order_id = :id", id=audited.confirmed)
    audited.execute("DELETE FROM stock_movements WHERE order_id = :id", id=audited.confirmed)
    audited.execute("UPDATE stock SET available = available + 2, sold = sold - 2")


def _plant_cancelled_order_that_bought(audited: Audited) -> None:
    audited.execute("UPDATE reservations SET status = 'CONFIRMED' WHERE order_id = :id", id=audited.cancelled)
    audited.execute(
        "UPDATE stock_movements SET kind = 'CONFIRMED' WHERE order_id = :id AND kind = 'RELEASED'",
        id=audited.cancelled,
    )
    audited.execute("UPDATE stock SET available = available - 2, sold = sold + 2")


def _plant_completed_but_cancelled(audited: Audited) -> None:
    audited.execute(
        "INSERT INTO saga_steps (order_id, step, status) VALUES (:id, 'CompleteOrder', 'SUCCEEDED')",
        id=audited.cancelled,
    )


def _plant_cancelled_but_confirmed(audited: Audited) -> None:
    audited.execute(
        "INSERT INTO saga_steps (order_id, step, status) VALUES (:id, 'MarkCancelled', 'SUCCEEDED')",
        id=audited.confirmed,
    )


def _plant_cancelled_without_reason(audited: Audited) -> None:
    audited.execute("UPDATE orders SET failure_reason = NULL WHERE id = :id", id=audited.cancelled)


def _plant_confirmed_without_completion(audited: Audited) -> None:
    audited.execute(
        "DELETE FROM saga_steps WHERE order_id = :id AND step = 'CompleteOrder'", id=audited.confirmed
    )


def _plant_unguarded_transitions(audited: Audited) -> None:
    audited.execute("ALTER TABLE orders DISABLE TRIGGER orders_check_transition")


def _plant_published_by_hand(audited: Audited) -> None:
    audited.execute("UPDATE outbox SET published_at = NULL WHERE subject = :id", id=audited.confirmed)


def _plant_pending_event(audited: Audited) -> None:
    audited.execute(
        "UPDATE outbox SET status = 'PENDING', published_at = NULL, attempts = 3, last_error = 'no queue' "
        "WHERE subject = :id AND type LIKE '%notification%'",
        id=audited.confirmed,
    )


def _plant_delivery_of_nothing(audited: Audited) -> None:
    audited.execute("INSERT INTO inbox (consumer, event_id) VALUES ('notify', :id)", id=uuid4())


def _plant_second_request_to_notify(audited: Audited) -> None:
    _plant = NotificationRequested(notification=Notification.ORDER_CONFIRMED)
    audited.database.transact(lambda connection: outbox.add(connection, audited.confirmed, _plant, TRACE))
    audited.execute("UPDATE outbox SET status = 'PUBLISHED', published_at = now()")


def _plant_stock_moved_twice(audited: Audited) -> None:
    # Both ways, so that the counters still agree: the movements alone give it away.
    audited.execute(
        "ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_order_id_product_id_kind_key"
    )
    for kind in ("RESERVED", "RELEASED"):
        audited.execute(
            "INSERT INTO stock_movements (product_id, order_id, kind, quantity) VALUES (:product, :id, :kind, 2)",
            product=audited.product.product_id,
            id=audited.cancelled,
            kind=kind,
        )


def _plant_order_without_key(audited: Audited) -> None:
    audited.execute("DELETE FROM idempotency_keys WHERE order_id = :id", id=audited.confirmed)


def _plant_key_of_another_user(audited: Audited) -> None:
    audited.execute(
        "UPDATE idempotency_keys SET user_id = 'mallory' WHERE order_id = :id", id=audited.confirmed
    )


def _plant_second_mail(audited: Audited) -> None:
    audited.unguarded(
        "notifications",
        "notifications_order_id_type_channel_key",
        "INSERT INTO notifications (id, order_id, type, channel, status, lease_until) "
        "SELECT :id, order_id, type, channel, status, lease_until FROM notifications WHERE order_id = :order_id",
        id=uuid7(),
        order_id=audited.confirmed,
    )


TOTAL = 2 * 1250

PLANTED: list[tuple[Callable[[Audited], None], dict[str, list[str]]]] = [
    (_plant_order_without_event, {"I1": ["0 OrderCreated rows in the outbox"]}),
    (_plant_second_event, {"I1": ["2 OrderCreated rows in the outbox"]}),
    (_plant_double_capture, {"I2": ["2 captures under {confirmed}"]}),
    (
        _plant_charge_of_nobody,
        {
            "I2": ["was charged, but no payment has this key"],
            "I3": [
                f"CONFIRMED: the gateway holds 0 instead of {TOTAL} (minor units), "
                f"CONFIRMED: our books hold 0 instead of {TOTAL} (minor units)"
            ],
        },
    ),
    (
        _plant_refund_of_a_confirmed_order,
        {"I3": [f"CONFIRMED: the gateway holds 0 instead of {TOTAL} (minor units)"]},
    ),
    (
        _plant_charge_of_a_cancelled_order,
        {
            "I3": [
                f"CANCELLED: the gateway holds {TOTAL} instead of 0 (minor units), "
                f"CANCELLED: our books hold {TOTAL} instead of 0 (minor units)"
            ]
        },
    ),
    (
        _plant_stock_that_does_not_add_up,
        {"I4": ["997 available + 0 reserved + 2 sold is not 1000 stocked"]},
    ),
    (_plant_negative_stock, {"I4": ["negative: -1 available, 0 reserved, 2 sold"]}),
    (
        _plant_stock_sold_to_nobody,
        {
            "I4": [
                "0 reserved, 3 sold, but reservations say 0 and 2, 0 reserved, 3 sold, but movements say 0 and 2"
            ]
        },
    ),
    (_plant_live_reservation, {"I5": ["CANCELLED, but its reservation is live"]}),
    (_plant_confirmed_order_that_bought_nothing, {"I5": ["CONFIRMED, but of 2 units 0 reserved"]}),
    (_plant_cancelled_order_that_bought, {"I5": ["CANCELLED, but 2 units are sold"]}),
    (_plant_completed_but_cancelled, {"I7": ["CANCELLED, but CompleteOrder succeeded"]}),
    (_plant_cancelled_but_confirmed, {"I7": ["CONFIRMED, but MarkCancelled succeeded"]}),
    (_plant_cancelled_without_reason, {"I7": ["CANCELLED without a reason"]}),
    (_plant_confirmed_without_completion, {"I7": ["CONFIRMED, but CompleteOrder never succeeded"]}),
    (_plant_unguarded_transitions, {"I7": ["the trigger that guards transitions is off"] * 2}),
    (_plant_published_by_hand, {"I8": ["PUBLISHED, but nobody knows when"] * 2}),
    (_plant_pending_event, {"I8": ["still PENDING after 3 attempts: no queue"]}),
    (_plant_delivery_of_nothing, {"I9": ["was processed, but no such event was ever written"]}),
    (_plant_second_request_to_notify, {"I9": ["was asked for 2 times"]}),
    (
        _plant_stock_moved_twice,
        {"I9": ["2 × RELEASED, but stock moved: RESERVED, RELEASED, RESERVED, RELEASED"]},
    ),
    (_plant_order_without_key, {"I10": ["0 idempotency keys"]}),
    (_plant_key_of_another_user, {"I10": ["its key is another user's"]}),
    (_plant_second_mail, {"I11": ["was sent 2 times"]}),
]


@pytest.mark.parametrize(
    ("plant", "found"), PLANTED, ids=[plant.__name__.removeprefix("_plant_") for plant, _ in PLANTED]
)
def test_a_planted_fault_breaks_its_promise_and_no_other(
    audited: Audited, plant: Callable[[Audited], None], found: dict[str, list[str]]
) -> None:
    plant(audited)
    expected = {
        number: [problem.format(confirmed=audited.confirmed) for problem in problems]
        for number, problems in found.items()
    }
    assert audited.broken() == expected
    with snapshot(audited.database.engine) as connection:
        at_once = broken_at_once(connection, expected)
    assert sorted(at_once) == sorted(
        f"{number}: {violation.subject}: {violation.problem}"
        for number, verdict in audited.audit().items()
        for violation in verdict.violations
    )


@pytest.mark.parametrize(
    "plant",
    [plant for plant, found in PLANTED if {"I2", "I3"} & set(found)],
    ids=lambda plant: plant.__name__,
)
def test_a_ledger_that_was_read_elsewhere_tells_the_same_as_one_in_the_database(
    audited: Audited, plant: Callable[[Audited], None]
) -> None:
    plant(audited)
    entries = rows(audited.database, "SELECT key, kind, amount, created_at FROM gateway.entries")
    elsewhere = of_entries(Entry(**entry) for entry in entries)
    found = check_database(audited.database.engine)
    audited.execute("TRUNCATE gateway.entries")
    assert check_database(audited.database.engine, ledger=elsewhere) == found


def test_an_order_that_does_not_end_breaks_the_first_promise(audited: Audited) -> None:
    stuck = add_order(audited.database, [(audited.product, 1)])
    audited.execute(
        "UPDATE outbox SET status = 'PUBLISHED', published_at = now() WHERE subject = :id", id=stuck
    )
    assert audited.broken() == {"I1": ["is still PENDING"]}


def test_a_webhook_that_is_tried_again_later_keeps_nobody_from_an_audit(audited: Audited) -> None:
    attempt = WebhookAttemptScheduled(delivery_id=uuid7(), attempt=2)
    audited.database.transact(lambda connection: outbox.add(connection, audited.confirmed, attempt, TRACE))
    with snapshot(audited.database.engine) as connection:
        assert unsettled(connection) == []
    assert audited.broken() == {}


def test_an_answered_order_that_does_not_exist_is_found(audited: Audited) -> None:
    lost = uuid7()
    verdict = audited.audit(Scope.of([audited.confirmed, lost]))["I1"]
    assert verdict.checked == 2
    assert [(violation.subject, violation.problem) for violation in verdict.violations] == [
        (str(lost), "was answered with 202, but there is no such order")
    ]


def test_an_audit_of_some_orders_is_not_disturbed_by_what_an_earlier_run_left(audited: Audited) -> None:
    add_order(audited.database)
    _charge(audited.database, audited.cancelled)
    _plant_delivery_of_nothing(audited)
    assert set(audited.broken()) == {"I1", "I3", "I8", "I9"}
    assert audited.broken(Scope.of([audited.confirmed])) == {}


def test_an_audit_of_some_orders_finds_what_came_meanwhile_and_belongs_to_none(audited: Audited) -> None:
    other = add_order(audited.database, [(audited.product, 1)])
    _charge(audited.database, other)
    (placed,) = rows(audited.database, "SELECT created_at FROM orders WHERE id = :id", id=other)
    audited.execute("DELETE FROM payments WHERE order_id = :id", id=other)
    _plant_delivery_of_nothing(audited)
    orders = [audited.confirmed, audited.cancelled]
    since = placed["created_at"]
    assert set(audited.broken(Scope.of(orders, since))) == {"I2", "I9"}
    assert audited.broken(Scope.of(orders, since + timedelta(hours=1))) == {}
    assert audited.broken(Scope.of(orders)) == {}


def test_an_audit_since_a_time_leaves_out_the_orders_before_it(audited: Audited) -> None:
    _charge(audited.database, audited.cancelled)
    (placed,) = rows(audited.database, "SELECT created_at FROM orders WHERE id = :id", id=audited.cancelled)
    assert "I3" in audited.broken(Scope(since=placed["created_at"]))
    assert audited.broken(Scope(since=placed["created_at"] + timedelta(microseconds=1))) == {}


def test_a_dead_event_is_a_remark_for_the_operator_and_no_broken_promise(audited: Audited) -> None:
    audited.execute(
        "UPDATE outbox SET status = 'DEAD', published_at = NULL, last_error = 'too large' "
        "WHERE subject = :id AND type LIKE '%notification%'",
        id=audited.confirmed,
    )
    verdict = audited.audit()["I8"]
    assert verdict.holds
    assert [remark.problem for remark in verdict.remarks] == [
        f"DEAD: {NotificationRequested.type} of order {audited.confirmed}: too large"
    ]


def test_an_order_that_needs_review_is_a_remark(audited: Audited) -> None:
    order_id = add_order(audited.database, [(audited.product, 1)])
    _move(audited.database, order_id, "PROCESSING")
    _move(audited.database, order_id, "NEEDS_REVIEW", "PROCESSING_FAILED")
    verdict = audited.audit()["I1"]
    assert [(remark.subject, remark.problem) for remark in verdict.remarks] == [
        (str(order_id), "needs review")
    ]


def test_a_mail_that_may_not_have_been_sent_is_a_remark(audited: Audited) -> None:
    audited.execute(
        "UPDATE notifications SET status = 'UNCERTAIN', error = 'NoOutcomeRecorded' WHERE order_id = :id",
        id=audited.confirmed,
    )
    verdict = audited.audit()["I11"]
    assert verdict.holds
    assert [remark.problem for remark in verdict.remarks] == ["UNCERTAIN: NoOutcomeRecorded"]


def test_orders_are_at_rest_only_when_everything_about_them_is_done(audited: Audited) -> None:
    def still_under_way() -> list[str]:
        with snapshot(audited.database.engine) as connection:
            return unsettled(connection)

    assert still_under_way() == []

    order_id = add_order(audited.database, [(audited.product, 1)])
    (event,) = rows(audited.database, "SELECT id FROM outbox WHERE subject = :id", id=order_id)
    assert still_under_way() == [
        f"order {order_id} is PENDING",
        f"event {event['id']} waits in the outbox",
    ]

    audited.execute("UPDATE outbox SET status = 'PUBLISHED', published_at = now()")
    _move(audited.database, order_id, "PROCESSING")
    _move(audited.database, order_id, "CONFIRMED")
    assert still_under_way() == []

    audited.execute("UPDATE notifications SET status = 'SENDING' WHERE order_id = :id", id=audited.confirmed)
    assert still_under_way() == [f"order_confirmed for order {audited.confirmed} is being sent"]
    audited.execute("UPDATE notifications SET status = 'SENT'")

    audited.execute("DELETE FROM inbox")
    assert len(still_under_way()) == 2


def test_charges_are_read_from_the_gateways_ledger_and_not_from_our_own_record(audited: Audited) -> None:
    audited.execute("UPDATE payments SET captured = 0, refunded = 0")
    _enter(audited.database, audited.confirmed, "REFUND")
    with snapshot(audited.database.engine) as connection:
        found = charges(connection)
    assert found == {audited.confirmed: Charge(captures=1, captured=TOTAL, refunded=TOTAL)}


def test_an_audit_sees_one_instant_and_changes_nothing(audited: Audited) -> None:
    with snapshot(audited.database.engine) as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"


# Refunds


def _refund(audited: Audited, amount: int, *, units: int = 1, restock: bool = True) -> UUID:
    """What a refund without a failure leaves behind."""
    database = audited.database

    def work(connection: Connection) -> UUID:
        granted = refunds.grant(
            connection,
            audited.confirmed,
            origin=RefundOrigin.OPERATOR,
            requested_by="operator",
            reason="broken",
            amount=None if units else amount,
            lines={audited.product.product_id: units} if units else {},
            restock=restock,
            trace=TRACE,
        )
        refunds.record_refunded(connection, granted.refund_id, TRACE)
        refunds.restock(connection, granted.refund_id)
        assert refunds.complete(connection, granted.refund_id, TRACE)
        return granted.refund_id

    refund_id = database.transact(work)
    key = str(audited.confirmed)
    audited.execute(
        "WITH given AS (INSERT INTO gateway.refunds (refund_key, key, amount) VALUES (:refund_key, :key, :amount)) "
        "INSERT INTO gateway.entries (key, kind, amount) VALUES (:key, 'REFUND', :amount)",
        refund_key=f"refund-{refund_id}",
        key=key,
        amount=amount,
    )
    audited.execute("UPDATE outbox SET status = 'PUBLISHED', published_at = now() WHERE status = 'PENDING'")
    audited.execute(
        "INSERT INTO inbox (consumer, event_id) SELECT 'notify', id FROM outbox WHERE type = :type "
        "ON CONFLICT DO NOTHING",
        type=NotificationRequested.type,
    )
    audited.execute("UPDATE notifications SET status = 'SENT' WHERE status = 'QUEUED'")
    return refund_id


@pytest.mark.parametrize("restock", [True, False])
def test_refunds_without_a_fault_keep_every_promise(audited: Audited, restock: bool) -> None:
    _refund(audited, audited.product.unit_price, restock=restock)
    _refund(audited, 10, units=0)

    assert audited.broken() == {}
    assert audited.audit()["I13"].checked == 4
    with snapshot(audited.database.engine) as connection:
        assert unsettled(connection) == []


@pytest.mark.parametrize(
    ("sql", "promises"),
    [
        # More than was captured, by a row that nobody granted.
        (
            "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock) "
            "SELECT gen_random_uuid(), order_id, 'OPERATOR', 'x', 'x', 1000000, false FROM refunds",
            {"I13"},
        ),
        # The same unit twice.
        ("UPDATE refund_lines SET quantity = 3", {"I13"}),
        # Money that the gateway never gave back, or gave back twice.
        ("DELETE FROM gateway.refunds", {"I13"}),
        (
            "INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'REFUND', amount FROM gateway.refunds",
            {"I3"},
        ),
        # Money that is back and not in our books.
        ("UPDATE payments SET refunded = 0", {"I3", "I13"}),
        ("UPDATE refunds SET refunded_at = NULL", {"I3", "I13"}),
        # Units that are back and did not move, or the other way round.
        ("DELETE FROM stock_movements WHERE kind = 'RETURNED'", {"I4", "I13"}),
        ("UPDATE refunds SET restocked_at = NULL", {"I13"}),
        ("UPDATE reservations SET returned = 0", {"I4"}),
        # Taken back, although the money has moved.
        ("UPDATE refunds SET status = 'REJECTED'", {"I13"}),
    ],
)
def test_a_refund_that_breaks_a_promise_is_found(audited: Audited, sql: str, promises: set[str]) -> None:
    _refund(audited, audited.product.unit_price)

    audited.execute(sql)

    assert audited.broken().keys() == promises


def test_a_refund_on_its_way_is_not_settled_and_breaks_nothing(audited: Audited) -> None:
    refund_id = _refund(audited, audited.product.unit_price)
    audited.execute("UPDATE refunds SET status = 'REQUESTED'")

    with snapshot(audited.database.engine) as connection:
        assert unsettled(connection) == [f"refund {refund_id} is on its way"]
    assert audited.broken() == {}
