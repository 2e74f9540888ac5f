"""Reservations whose time is over give their units back; one whose customer is paying does not."""

import threading
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from functions.maintenance import stock
from functions.maintenance.stock import expire_reservations
from orders import inventory
from orders.db import Database
from orders.errors import ReservationExpired
from orders.observability import metrics
from tests.integration.maintenance.support import (
    NO_TIME,
    PLENTY,
    let_time_pass,
    repairs,
    wait_for_a_lock,
)
from tests.support.factories import Product, add_order, add_product, execute, rows

TTL_SECONDS = 900


def reserve(database: Database, order_id: UUID) -> UUID:
    """What ReserveInventory leaves behind."""
    execute(database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :order_id", order_id=order_id)
    database.transact(lambda connection: inventory.reserve(connection, order_id, TTL_SECONDS))
    return order_id


def pay(database: Database, order_id: UUID, status: str) -> None:
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency) "
        "SELECT id, 'order-' || id, :status, total_amount, currency FROM orders WHERE id = :order_id",
        status=status,
        order_id=order_id,
    )


def statuses(database: Database, order_id: UUID) -> list[str]:
    found = rows(
        database,
        "SELECT status FROM reservations WHERE order_id = :order_id ORDER BY product_id",
        order_id=order_id,
    )
    return [row["status"] for row in found]


def units(database: Database, product: Product) -> tuple[int, int, int]:
    """Available, reserved, sold."""
    (row,) = rows(
        database, "SELECT * FROM stock WHERE product_id = :product_id", product_id=product.product_id
    )
    return row["available"], row["reserved"], row["sold"]


@pytest.fixture
def products(database: Database) -> list[Product]:
    return [add_product(database, available=10) for _ in range(2)]


@pytest.fixture
def order(database: Database, products: list[Product]) -> UUID:
    """An order of two products (trap T2), both reserved."""
    return reserve(database, add_order(database, list(zip(products, (3, 2), strict=True))))


def test_every_line_past_its_time_is_given_back(
    database: Database, order: UUID, products: list[Product]
) -> None:
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 2
    assert statuses(database, order) == ["EXPIRED", "EXPIRED"]
    assert [units(database, product) for product in products] == [(10, 0, 0), (10, 0, 0)]


def test_a_reservation_whose_time_is_not_over_is_kept(
    database: Database, order: UUID, products: list[Product]
) -> None:
    let_time_pass(database, TTL_SECONDS - 5)
    assert expire_reservations(database, PLENTY) == 0
    assert [units(database, product) for product in products] == [(7, 3, 0), (8, 2, 0)]


@pytest.mark.parametrize("status", ["PENDING", "UNKNOWN", "ACTION_REQUIRED", "CAPTURED"])
def test_a_reservation_is_kept_while_its_customer_is_paying(
    database: Database, order: UUID, status: str
) -> None:
    """Also while the order waits for the gateway's circuit to close (trap T7)."""
    pay(database, order, status)
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 0
    assert statuses(database, order) == ["ACTIVE", "ACTIVE"]


@pytest.mark.parametrize("status", ["DECLINED", "VOIDED", "REFUNDED"])
def test_a_payment_that_came_to_nothing_keeps_no_reservation(
    database: Database, order: UUID, status: str
) -> None:
    pay(database, order, status)
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 2


@pytest.mark.parametrize("status", ["CANCELLED", "NEEDS_REVIEW"])
def test_a_terminal_order_keeps_no_reservation_whatever_its_payment(
    database: Database, order: UUID, status: str
) -> None:
    pay(database, order, "UNKNOWN")
    execute(database, "UPDATE orders SET status = :status", status=status)
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 2


def test_what_has_expired_can_be_neither_confirmed_nor_released_again(
    database: Database, order: UUID, products: list[Product]
) -> None:
    """Trap T3: after their TTL reservations could be neither released nor confirmed, and held their units for ever."""
    let_time_pass(database, TTL_SECONDS)
    expire_reservations(database, PLENTY)
    with pytest.raises(ReservationExpired):
        database.transact(lambda connection: inventory.confirm(connection, order))
    database.transact(lambda connection: inventory.release(connection, order))
    assert expire_reservations(database, PLENTY) == 0
    assert [units(database, product) for product in products] == [(10, 0, 0), (10, 0, 0)]


def test_orders_that_share_a_product_all_give_their_units_back(database: Database) -> None:
    product = add_product(database, available=10)
    for quantity in (1, 2, 3):
        reserve(database, add_order(database, [(product, quantity)]))
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 3
    assert units(database, product) == (10, 0, 0)


def test_each_order_and_each_movement_is_on_record(database: Database, order: UUID) -> None:
    let_time_pass(database, TTL_SECONDS)
    expire_reservations(database, PLENTY)
    assert rows(database, "SELECT kind, order_id, detail FROM repairs") == [
        {"kind": "RESERVATION_EXPIRED", "order_id": order, "detail": "lines=2 units=5"}
    ]
    movements = rows(database, "SELECT kind, quantity FROM stock_movements ORDER BY id")
    assert sorted((row["kind"], row["quantity"]) for row in movements) == [
        ("EXPIRED", 2),
        ("EXPIRED", 3),
        ("RESERVED", 2),
        ("RESERVED", 3),
    ]


def test_expired_lines_are_counted(database: Database, order: UUID) -> None:
    let_time_pass(database, TTL_SECONDS)
    metrics.clear_metrics()
    expire_reservations(database, PLENTY)
    assert metrics.metric_set["ReservationsExpired"]["Value"] == [2.0]
    metrics.clear_metrics()


def test_many_are_given_back_a_batch_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "BATCH_SIZE", 2)
    product = add_product(database, available=10)
    for _ in range(5):
        reserve(database, add_order(database, [(product, 1)]))
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, PLENTY) == 5
    assert units(database, product) == (10, 0, 0)


def test_a_round_without_time_begins_nothing(database: Database, order: UUID) -> None:
    let_time_pass(database, TTL_SECONDS)
    assert expire_reservations(database, NO_TIME) == 0
    assert repairs(database) == []


def test_a_reservation_that_a_step_is_ending_is_passed_over_and_holds_nobody_up(
    database: Database, other_process: Database, order: UUID, products: list[Product]
) -> None:
    other = reserve(database, add_order(database, [(add_product(database), 1)]))
    let_time_pass(database, TTL_SECONDS)
    with other_process.engine.begin() as step:
        inventory.confirm(step, order)
        assert expire_reservations(database, PLENTY) == 1
    assert statuses(database, other) == ["EXPIRED"]
    assert statuses(database, order) == ["CONFIRMED", "CONFIRMED"]
    assert units(database, products[0]) == (7, 0, 3)


def test_stock_is_locked_in_the_order_of_its_products(
    database: Database, other_process: Database, observer: Database, order: UUID, products: list[Product]
) -> None:
    """As by the steps: with another order of locks, a sweeper and a step could wait for each other."""
    first, second = sorted(product.product_id for product in products)
    lock = text("SELECT FROM stock WHERE product_id = :product_id FOR UPDATE NOWAIT")
    let_time_pass(database, TTL_SECONDS)
    with other_process.engine.begin() as step:
        step.execute(lock, {"product_id": first})
        sweeper = threading.Thread(target=lambda: expire_reservations(database, PLENTY))
        sweeper.start()
        wait_for_a_lock(observer)
        observer.transact(lambda connection: connection.execute(lock, {"product_id": second}))
    sweeper.join()
    assert statuses(database, order) == ["EXPIRED", "EXPIRED"]


def test_sweepers_and_steps_in_each_others_way_leave_every_unit_accounted_for(
    database: Database, other_process: Database
) -> None:
    """Products are locked in one order by all of them: a deadlock would be a failed statement here."""
    products = [add_product(database, available=100) for _ in range(4)]
    orders = [
        reserve(database, add_order(database, [(product, 2) for product in products[:: 1 if n % 2 else -1]]))
        for n in range(12)
    ]
    let_time_pass(database, TTL_SECONDS)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    def release(connection: Connection) -> None:
        for order_id in orders[::2]:
            inventory.release(connection, order_id)

    thread = threading.Thread(target=lambda: other_process.transact(release))
    thread.start()
    expire_reservations(database, PLENTY)
    thread.join()
    assert {units(database, product) for product in products} == {(100, 0, 0)}
    assert rows(database, deadlocks) == [{"deadlocks": 0}]
