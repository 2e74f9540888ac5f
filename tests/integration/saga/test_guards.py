"""Each condition of the statements that change an order, its payment or its stock, by itself."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from orders import inventory, lifecycle
from orders.closing import Balance, HeldLine, blocking, find
from orders.db import Database
from orders.domain import FailureReason, OrderStatus, PaymentStatus
from orders.errors import (
    InsufficientStock,
    OrderDoesNotFit,
    OrderIncomplete,
    OrderNotInReview,
    ReservationExpired,
    StepFenced,
)
from orders.ids import uuid7
from orders.payments import records
from orders.payments.gateway import GatewayStatus
from tests.support.factories import ALICE, BOB, TRACE, Product, add_order, add_product, execute, rows
from tests.support.webhooks import add_endpoint

TOTAL = 2500
ENDED = [OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.NEEDS_REVIEW]
NOT_IN_REVIEW = [status for status in OrderStatus if status is not OrderStatus.NEEDS_REVIEW]
REASON = FailureReason.PROCESSING_FAILED


def order_in(database: Database, status: OrderStatus, product: Product | None = None) -> UUID:
    """An order of two units for 2500, with a status that it has had for an hour."""
    order_id = add_order(database, [(product or add_product(database), 2)])
    steps = {"PENDING": [], "PROCESSING": ["PROCESSING"]}.get(status, ["PROCESSING", status])
    for step in steps:
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", status=step, id=order_id)
    execute(database, "UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = :id", id=order_id)
    return order_id


def pay(
    database: Database, order_id: UUID, status: str = "CAPTURED", captured: int = TOTAL, refunded: int = 0
) -> None:
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured, refunded) "
        "VALUES (:id, :key, :status, 2500, 'USD', :captured, :refunded)",
        id=order_id,
        key=f"order-{order_id}",
        status=status,
        captured=captured,
        refunded=refunded,
    )


def reserve(database: Database, order_id: UUID, status: str = "CONFIRMED", quantity: int = 2) -> None:
    execute(
        database,
        "INSERT INTO reservations (order_id, product_id, quantity, status, expires_at) "
        "SELECT order_id, product_id, :quantity, :status, now() FROM order_items WHERE order_id = :id",
        id=order_id,
        status=status,
        quantity=quantity,
    )


def of(database: Database, order_id: UUID) -> dict[str, Any]:
    (row,) = rows(
        database, "SELECT status, failure_reason, updated_at FROM orders WHERE id = :id", id=order_id
    )
    return row


def events(database: Database, order_id: UUID) -> list[str]:
    """What was written after the order was placed."""
    found = rows(
        database,
        "SELECT type FROM outbox WHERE subject = :id AND type <> 'com.orders.order.created.v1' ORDER BY type",
        id=order_id,
    )
    return [row["type"].removeprefix("com.orders.") for row in found]


# Beginning and ending an order


@pytest.mark.parametrize("status", [status for status in OrderStatus if status is not OrderStatus.PENDING])
def test_only_a_pending_order_begins(database: Database, status: OrderStatus) -> None:
    order_id = order_in(database, status)
    before = of(database, order_id)

    database.transact(lambda connection: lifecycle.begin(connection, order_id))

    assert of(database, order_id) == before


def test_an_order_begins_alone(database: Database) -> None:
    one, other = order_in(database, OrderStatus.PENDING), order_in(database, OrderStatus.PENDING)
    database.transact(lambda connection: lifecycle.begin(connection, one))
    assert [of(database, order_id)["status"] for order_id in (one, other)] == ["PROCESSING", "PENDING"]


LACKING: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "nothing paid": (None, {}),
    "a part refunded": ({"refunded": 1}, {}),
    "a part captured": ({"captured": TOTAL - 1}, {}),
    "reserved and not sold": ({}, {"status": "ACTIVE"}),
    "one unit sold of two": ({}, {"quantity": 1}),
    "nothing sold": ({}, None),
}
"""The payment and the reservation of an order that lacks one thing."""


def lack(database: Database, order_id: UUID, lacking: str) -> None:
    payment, reservation = LACKING[lacking]
    if payment is not None:
        pay(database, order_id, **payment)
    if reservation is not None:
        reserve(database, order_id, **reservation)


@pytest.mark.parametrize("lacking", sorted(LACKING))
def test_an_order_that_lacks_one_thing_is_not_confirmed(database: Database, lacking: str) -> None:
    product = add_product(database)
    # Another order of the same product has all of it.
    other, order_id = (order_in(database, OrderStatus.PROCESSING, product) for _ in range(2))
    pay(database, other)
    reserve(database, other)
    lack(database, order_id, lacking)
    before = of(database, order_id)

    for check in (
        lambda connection: lifecycle.check_complete(connection, order_id),
        lambda connection: lifecycle.confirm(connection, order_id, TRACE),
    ):
        with pytest.raises(OrderIncomplete):
            database.transact(check)

    assert of(database, order_id) == before


@pytest.mark.parametrize("status", [status for status in OrderStatus if status is not OrderStatus.PROCESSING])
def test_only_an_order_on_its_way_is_confirmed(database: Database, status: OrderStatus) -> None:
    order_id = order_in(database, status)
    pay(database, order_id)
    reserve(database, order_id)
    before = of(database, order_id)

    for check in (
        lambda connection: lifecycle.check_complete(connection, order_id),
        lambda connection: lifecycle.confirm(connection, order_id, TRACE),
    ):
        with pytest.raises(OrderIncomplete):
            database.transact(check)

    assert (of(database, order_id), events(database, order_id)) == (before, [])


def test_a_complete_order_is_confirmed(database: Database) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    pay(database, order_id)
    reserve(database, order_id)

    database.transact(lambda connection: lifecycle.check_complete(connection, order_id))
    database.transact(lambda connection: lifecycle.confirm(connection, order_id, TRACE))

    assert of(database, order_id)["status"] == "CONFIRMED"


@pytest.mark.parametrize("status", ENDED)
def test_an_order_that_has_ended_is_not_cancelled(database: Database, status: OrderStatus) -> None:
    add_endpoint(database)
    order_id = order_in(database, status)
    before = of(database, order_id)

    cancelled = database.transact(
        lambda connection: lifecycle.cancel(connection, order_id, REASON, TRACE, unfinished=False)
    )

    assert (cancelled.status, cancelled.is_new) == (status, False)
    assert (of(database, order_id), events(database, order_id)) == (before, [])


HELD: dict[str, Callable[[Database, UUID], None]] = {
    "captured": lambda database, order_id: pay(database, order_id),
    "a part refunded": lambda database, order_id: pay(database, order_id, refunded=TOTAL - 1),
    "pending": lambda database, order_id: pay(database, order_id, "PENDING", 0),
    "unknown": lambda database, order_id: pay(database, order_id, "UNKNOWN", 0),
    "reserved": lambda database, order_id: reserve(database, order_id, "ACTIVE"),
    "sold": lambda database, order_id: reserve(database, order_id, "CONFIRMED"),
}
FREE: dict[str, Callable[[Database, UUID], None]] = {
    "never paid": lambda database, order_id: None,
    "refunded": lambda database, order_id: pay(database, order_id, "REFUNDED", refunded=TOTAL),
    "declined": lambda database, order_id: pay(database, order_id, "DECLINED", 0),
    "voided": lambda database, order_id: pay(database, order_id, "VOIDED", 0),
    "released": lambda database, order_id: reserve(database, order_id, "RELEASED"),
    "restored": lambda database, order_id: reserve(database, order_id, "RESTORED"),
    "expired": lambda database, order_id: reserve(database, order_id, "EXPIRED"),
}


@pytest.mark.parametrize("held", sorted({**HELD, **FREE}))
def test_an_order_of_which_something_is_held_needs_review(database: Database, held: str) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    {**HELD, **FREE}[held](database, order_id)

    database.transact(
        lambda connection: lifecycle.cancel(connection, order_id, REASON, TRACE, unfinished=False)
    )

    assert of(database, order_id)["status"] == ("NEEDS_REVIEW" if held in HELD else "CANCELLED")


def test_an_order_of_which_something_is_unfinished_needs_review(database: Database) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    database.transact(
        lambda connection: lifecycle.cancel(connection, order_id, REASON, TRACE, unfinished=True)
    )
    assert of(database, order_id)["status"] == "NEEDS_REVIEW"


def test_what_another_order_holds_does_not_count(database: Database) -> None:
    other, order_id = (order_in(database, OrderStatus.PROCESSING) for _ in range(2))
    pay(database, other)
    reserve(database, other)
    database.transact(
        lambda connection: lifecycle.cancel(connection, order_id, REASON, TRACE, unfinished=False)
    )
    assert of(database, order_id)["status"] == "CANCELLED"


@pytest.mark.parametrize("status", ENDED)
def test_an_order_that_has_ended_is_not_put_under_review(database: Database, status: OrderStatus) -> None:
    add_endpoint(database)
    order_id = order_in(database, status)
    before = of(database, order_id)

    assert not database.transact(lambda connection: lifecycle.require_review(connection, order_id, TRACE))

    assert (of(database, order_id), events(database, order_id)) == (before, [])


def test_a_review_keeps_the_reason_that_there_is(database: Database) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    execute(database, "UPDATE orders SET failure_reason = 'PAYMENT_DECLINED' WHERE id = :id", id=order_id)
    database.transact(lambda connection: lifecycle.require_review(connection, order_id, TRACE))
    assert of(database, order_id)["failure_reason"] == "PAYMENT_DECLINED"


@pytest.mark.parametrize("listener", ["somebody else", "disabled", "the owner"])
def test_an_end_is_announced_to_its_owners_enabled_webhooks_alone(database: Database, listener: str) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    add_endpoint(database, user_id=BOB if listener == "somebody else" else ALICE)
    if listener == "disabled":
        execute(database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

    database.transact(
        lambda connection: lifecycle.cancel(connection, order_id, REASON, TRACE, unfinished=False)
    )

    assert events(database, order_id) == (["order.cancelled.v1"] if listener == "the owner" else [])


# What an operator does


def resume(database: Database, order_id: UUID, looked_at: datetime) -> None:
    database.transact(
        lambda connection: lifecycle.resume(
            connection, order_id, operator="maria", looked_at=looked_at, start_seconds=45
        )
    )


def close(database: Database, order_id: UUID, looked_at: datetime, end: OrderStatus) -> None:
    at_gateway = GatewayStatus.CAPTURED if end is OrderStatus.CONFIRMED else None
    database.transact(
        lambda connection: lifecycle.close(
            connection, order_id, end, TRACE, operator="maria", looked_at=looked_at, at_gateway=at_gateway
        )
    )


ACTIONS: dict[str, Callable[[Database, UUID, datetime], None]] = {
    "resume": resume,
    "close as CONFIRMED": lambda database, order_id, at: close(database, order_id, at, OrderStatus.CONFIRMED),
    "close as CANCELLED": lambda database, order_id, at: close(database, order_id, at, OrderStatus.CANCELLED),
}


def fitting(database: Database, status: OrderStatus, action: str) -> UUID:
    """An order that the action fits, but perhaps for its status."""
    order_id = order_in(database, status)
    if action == "close as CONFIRMED":
        pay(database, order_id)
        reserve(database, order_id)
    return order_id


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("status", NOT_IN_REVIEW)
def test_an_operator_moves_no_order_that_is_not_under_review(
    database: Database, action: str, status: OrderStatus
) -> None:
    order_id = fitting(database, status, action)
    before = of(database, order_id)

    with pytest.raises(OrderNotInReview):
        ACTIONS[action](database, order_id, before["updated_at"])

    assert (of(database, order_id), events(database, order_id)) == (before, [])
    assert rows(database, "SELECT * FROM saga_recoveries") == []


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("seconds", [-3600, -0.000001, 0.000001, 3600])
def test_an_operator_moves_no_order_that_has_moved_since_they_looked(
    database: Database, action: str, seconds: float
) -> None:
    """It may be under review again: another operator has resumed it, and it came back."""
    order_id = fitting(database, OrderStatus.NEEDS_REVIEW, action)
    before = of(database, order_id)

    with pytest.raises(OrderNotInReview):
        ACTIONS[action](database, order_id, before["updated_at"] + timedelta(seconds=seconds))

    assert (of(database, order_id), events(database, order_id)) == (before, [])
    assert rows(database, "SELECT * FROM saga_recoveries") == []


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_an_operator_moves_the_order_that_they_looked_at_and_no_other(
    database: Database, action: str
) -> None:
    other, order_id = (fitting(database, OrderStatus.NEEDS_REVIEW, action) for _ in range(2))
    execute(
        database,
        "UPDATE orders SET updated_at = (SELECT updated_at FROM orders WHERE id = :id) WHERE id = :other",
        id=order_id,
        other=other,
    )

    ACTIONS[action](database, order_id, of(database, order_id)["updated_at"])

    assert of(database, order_id)["status"] == {"resume": "PROCESSING"}.get(action, action[9:])
    assert of(database, other)["status"] == "NEEDS_REVIEW"


def test_a_closing_looks_at_the_money_and_the_stock_of_its_own_order(database: Database) -> None:
    other, order_id = (order_in(database, OrderStatus.NEEDS_REVIEW) for _ in range(2))
    pay(database, other)
    reserve(database, other)

    with pytest.raises(OrderDoesNotFit):
        close(database, order_id, of(database, order_id)["updated_at"], OrderStatus.CONFIRMED)
    close(database, order_id, of(database, order_id)["updated_at"], OrderStatus.CANCELLED)


@pytest.mark.parametrize("held", sorted(HELD))
def test_an_order_of_which_something_is_held_is_not_closed_as_cancelled(
    database: Database, held: str
) -> None:
    order_id = order_in(database, OrderStatus.NEEDS_REVIEW)
    HELD[held](database, order_id)
    with pytest.raises(OrderDoesNotFit):
        close(database, order_id, of(database, order_id)["updated_at"], OrderStatus.CANCELLED)


# The closing counts lines; how many units of one are sold is the reservation's own.
@pytest.mark.parametrize("lacking", sorted(LACKING.keys() - {"one unit sold of two"}))
def test_an_order_that_lacks_one_thing_is_not_closed_as_confirmed(database: Database, lacking: str) -> None:
    order_id = order_in(database, OrderStatus.NEEDS_REVIEW)
    lack(database, order_id, lacking)
    with pytest.raises(OrderDoesNotFit):
        close(database, order_id, of(database, order_id)["updated_at"], OrderStatus.CONFIRMED)


def held(reserved: int = 0, sold: int = 0, **others: Any) -> Balance:
    """Of an order of two lines, of which so many are reserved and sold; nothing is paid, unless told otherwise."""

    def lines(number: int) -> list[HeldLine]:
        return [HeldLine(uuid7(), "Headphones", 1) for _ in range(number)]

    unpaid: dict[str, Any] = {"payment": None, "captured": 0, "refunded": 0, "at_gateway": None}
    certain: dict[str, Any] = {"gateway_answers": True, "seconds_in_review": 3600.0}
    known = {"total": TOTAL, "currency": "USD", **unpaid, **certain, **others}
    return Balance(lines=2, reserved=lines(reserved), sold=lines(sold), **known)


PAID: dict[str, Any] = {
    "payment": PaymentStatus.CAPTURED,
    "captured": TOTAL,
    "at_gateway": GatewayStatus.CAPTURED,
}
CLOSINGS: list[tuple[Balance, OrderStatus, int]] = [
    (held(sold=2, **PAID), OrderStatus.CONFIRMED, 0),
    (held(sold=1, **PAID), OrderStatus.CONFIRMED, 1),
    (held(reserved=1, sold=2, **PAID), OrderStatus.CONFIRMED, 1),
    (held(sold=2, **PAID, total=TOTAL + 1), OrderStatus.CONFIRMED, 1),
    (held(sold=2), OrderStatus.CONFIRMED, 1),
    (held(sold=2, **{**PAID, "at_gateway": GatewayStatus.REFUNDED}), OrderStatus.CONFIRMED, 1),
    (held(sold=2, **{**PAID, "payment": PaymentStatus.UNKNOWN}), OrderStatus.CONFIRMED, 1),
    (held(sold=2, **PAID, gateway_answers=False), OrderStatus.CONFIRMED, 1),
    (held(sold=2, **PAID, seconds_in_review=0.0), OrderStatus.CONFIRMED, 1),
    (held(), OrderStatus.CANCELLED, 0),
    (held(reserved=1), OrderStatus.CANCELLED, 1),
    (held(sold=1), OrderStatus.CANCELLED, 1),
    (held(**PAID), OrderStatus.CANCELLED, 1),
    (
        held(payment=PaymentStatus.VOIDED, at_gateway=GatewayStatus.CAPTURED),
        OrderStatus.CANCELLED,
        1,
    ),
    (held(payment=PaymentStatus.PENDING), OrderStatus.CANCELLED, 1),
]


@pytest.mark.parametrize(("balance", "end", "number"), CLOSINGS)
def test_each_thing_that_does_not_fit_blocks_a_closing(
    balance: Balance, end: OrderStatus, number: int
) -> None:
    assert len(blocking(find(balance), end)) == number


# Payments


DECIDED = ["CAPTURED", "DECLINED", "VOIDED", "REFUNDED"]


def payment(database: Database, order_id: UUID) -> dict[str, Any]:
    (row,) = rows(
        database,
        "SELECT status, captured, refunded, attempts, updated_at FROM payments WHERE order_id = :id",
        id=order_id,
    )
    return row


@pytest.mark.parametrize("status", DECIDED)
@pytest.mark.parametrize("said", ["CAPTURED", "DECLINED", "UNKNOWN"])
def test_a_decided_payment_stays_decided(database: Database, status: str, said: str) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    pay(database, order_id, status, 0)
    before = payment(database, order_id)

    database.transact(lambda connection: records.decide(connection, order_id, PaymentStatus(said), "p"))

    assert payment(database, order_id) == before


@pytest.mark.parametrize("status", ["PENDING", "UNKNOWN"])
@pytest.mark.parametrize(("said", "captured"), [("CAPTURED", TOTAL), ("DECLINED", 0), ("UNKNOWN", 0)])
def test_an_undecided_payment_is_decided_and_no_others(
    database: Database, status: str, said: str, captured: int
) -> None:
    other, order_id = (order_in(database, OrderStatus.PROCESSING) for _ in range(2))
    for each in (other, order_id):
        pay(database, each, status, 0)

    database.transact(lambda connection: records.decide(connection, order_id, PaymentStatus(said), "p"))

    assert (payment(database, order_id)["status"], payment(database, order_id)["captured"]) == (
        said,
        captured,
    )
    assert payment(database, other)["status"] == status


@pytest.mark.parametrize(
    ("said", "captured", "refunded"), [("REFUNDED", TOTAL, TOTAL), ("VOIDED", 0, 0), ("DECLINED", 0, 0)]
)
def test_a_payment_is_closed_with_what_was_moved_and_no_others(
    database: Database, said: str, captured: int, refunded: int
) -> None:
    other, order_id = (order_in(database, OrderStatus.PROCESSING) for _ in range(2))
    for each in (other, order_id):
        pay(database, each, "PENDING", 0)

    database.transact(lambda connection: records.close(connection, order_id, PaymentStatus(said), "p"))

    found = payment(database, order_id)
    assert (found["status"], found["captured"], found["refunded"]) == (said, captured, refunded)
    assert payment(database, other)["status"] == "PENDING"


@pytest.mark.parametrize("compared", list(PaymentStatus))
def test_a_payment_is_settled_only_over_what_was_compared(
    database: Database, compared: PaymentStatus
) -> None:
    other, order_id = (order_in(database, OrderStatus.PROCESSING) for _ in range(2))
    for each in (other, order_id):
        pay(database, each, "UNKNOWN", 0)

    settled = database.transact(
        lambda connection: records.settle(
            connection, order_id, PaymentStatus.REFUNDED, "p", compared=compared
        )
    )

    assert settled == (compared is PaymentStatus.UNKNOWN)
    found = payment(database, order_id)
    assert (found["status"], found["captured"], found["refunded"]) == (
        ("REFUNDED", TOTAL, TOTAL) if settled else ("UNKNOWN", 0, 0)
    )
    assert payment(database, other)["status"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("step", "status", "refused"),
    [
        ("CompleteOrder", "FENCED", True),
        ("CompleteOrder", "SUCCEEDED", False),
        ("ReserveInventory", "FENCED", False),
    ],
)
def test_no_charge_is_meant_once_the_saga_has_turned_back(
    database: Database, step: str, status: str, refused: bool
) -> None:
    order_id = order_in(database, OrderStatus.PROCESSING)
    other = order_in(database, OrderStatus.PROCESSING)
    for each, fence in ((order_id, status), (other, "FENCED")):
        execute(
            database,
            "INSERT INTO saga_steps (order_id, step, status) VALUES (:id, :step, :status)",
            id=each,
            step=step if each is order_id else "CompleteOrder",
            status=fence,
        )

    def charge() -> None:
        database.transact(
            lambda connection: records.intend(connection, order_id, if_new=PaymentStatus.PENDING)
        )

    if refused:
        with pytest.raises(StepFenced):
            charge()
        void = database.transact(
            lambda connection: records.intend(connection, order_id, if_new=PaymentStatus.VOIDED)
        )
        assert (void.status, void.attempts) == (PaymentStatus.VOIDED, 0)
    else:
        charge()
        assert payment(database, order_id)["attempts"] == 1


@pytest.mark.parametrize("status", list(PaymentStatus))
@pytest.mark.parametrize("age", [30, 90])
def test_only_payments_whose_outcome_nobody_waits_for_are_claimed(
    database: Database, status: PaymentStatus, age: int
) -> None:
    """Of one that waits for the customer the saga asks by itself."""
    order_id = order_in(database, OrderStatus.PROCESSING)
    pay(database, order_id, status, 0)
    execute(database, "UPDATE payments SET updated_at = now() - make_interval(secs => :age)", age=age)

    def claim() -> list[UUID]:
        return database.transact(lambda connection: records.claim_undecided(connection, 60, 10))

    is_due = status in (PaymentStatus.PENDING, PaymentStatus.UNKNOWN) and age > 60
    assert claim() == ([order_id] if is_due else [])
    assert claim() == [], "claimed, it is somebody's"


@pytest.mark.parametrize("order_status", list(OrderStatus))
@pytest.mark.parametrize("status", list(PaymentStatus))
def test_a_payment_is_in_flight_while_its_order_is_on_its_way_and_money_may_be(
    database: Database, order_status: OrderStatus, status: PaymentStatus
) -> None:
    order_id = order_in(database, order_status)
    pay(database, order_id, status, 0)
    other = order_in(database, OrderStatus.PROCESSING)
    pay(database, other, "PENDING", 0)

    def asked() -> bool:
        return bool(
            database.transact(
                lambda connection: connection.scalar(
                    text(f"SELECT {records.is_in_flight(':order_id')}"), {"order_id": order_id}
                )
            )
        )

    may_be = status in records.UNDECIDED or status is PaymentStatus.CAPTURED
    assert asked() == (order_status is OrderStatus.PROCESSING and may_be)


# Stock


def counters(database: Database) -> list[tuple[int, int, int]]:
    return [
        (row["available"], row["reserved"], row["sold"])
        for row in rows(database, "SELECT available, reserved, sold FROM stock ORDER BY product_id")
    ]


def test_the_last_units_can_be_had_and_not_one_more(database: Database) -> None:
    enough, short = add_product(database, available=2), add_product(database, available=1)
    fits, misses = add_order(database, [(enough, 2)]), add_order(database, [(short, 2)])

    for look in (inventory.verify_available, lambda c, o: inventory.reserve(c, o, 900)):
        database.transact(lambda connection, look=look: look(connection, fits))  # type: ignore[misc]
        with pytest.raises(InsufficientStock):
            database.transact(lambda connection, look=look: look(connection, misses))  # type: ignore[misc]

    assert counters(database) == [(0, 2, 0), (1, 0, 0)]


ENDINGS: dict[str, tuple[str, Callable[[Any, UUID], None]]] = {
    "confirm": ("ACTIVE", inventory.confirm),
    "release": ("ACTIVE", inventory.release),
    "restore": ("CONFIRMED", inventory.restore),
}


@pytest.mark.parametrize("ending", sorted(ENDINGS))
@pytest.mark.parametrize("status", ["ACTIVE", "CONFIRMED", "RELEASED", "RESTORED", "EXPIRED"])
def test_a_reservation_ends_from_its_own_status_alone_and_no_others(
    database: Database, ending: str, status: str
) -> None:
    fits_from, end = ENDINGS[ending]
    product = add_product(database, available=100)
    order_id, other = (add_order(database, [(product, 2)]) for _ in range(2))
    for each in (order_id, other):
        database.transact(lambda connection, each=each: inventory.reserve(connection, each, 900))  # type: ignore[misc]
    if status == "CONFIRMED":
        database.transact(lambda connection: inventory.confirm(connection, order_id))
    elif status != "ACTIVE":
        execute(database, "UPDATE reservations SET status = :to WHERE order_id = :id", to=status, id=order_id)
    before = counters(database)

    if ending == "confirm" and status != "ACTIVE":
        with pytest.raises(ReservationExpired):
            database.transact(lambda connection: end(connection, order_id))
    else:
        database.transact(lambda connection: end(connection, order_id))

    assert (counters(database) != before) == (status == fits_from)
    assert rows(database, "SELECT status FROM reservations WHERE order_id = :id", id=other) == [
        {"status": "ACTIVE"}
    ]
