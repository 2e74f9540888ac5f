"""Stock that comes and goes without an order: exact, recorded, and never below what is reserved."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from functions.manage_catalogue import stock
from functions.manage_catalogue.models import NewAdjustment
from orders import inventory
from orders.db import Credentials, Database
from orders.errors import InsufficientStock, StockNotFree
from tests.integration.manage_catalogue.catalogue_api import Product
from tests.integration.manage_catalogue.conftest import ADMIN
from tests.support.api import Client
from tests.support.factories import add_order, rows
from tools.audit.database import check_database

BUYERS = ADJUSTERS = 20
TTL_SECONDS = 900


def counters(product: Product) -> tuple[int, int, int, int]:
    """stocked, available, reserved, sold"""
    now = product.now
    return now["stocked"], now["available"], now["reserved"], now["sold"]


def reserve(database: Database, order_id: UUID) -> None:
    database.transact(lambda connection: inventory.reserve(connection, order_id, TTL_SECONDS))


@pytest.mark.parametrize(("delta", "left"), [(+5, 15), (-3, 7), (-10, 0)])
def test_an_adjustment_is_recorded_with_who_and_why(coffee: Product, delta: int, left: int) -> None:
    answer = coffee.adjust(delta, "Damaged in the warehouse")

    assert answer.status == 201
    movement = answer.json["movement"]
    assert coffee.movements[0] == movement
    assert {name: movement[name] for name in ("kind", "quantity", "orderId", "actor", "reason")} == {
        "kind": "ADJUSTED",
        "quantity": delta,
        "orderId": None,
        "actor": ADMIN,
        "reason": "Damaged in the warehouse",
    }
    assert answer.json["product"] == coffee.now
    assert counters(coffee) == (left, left, 0, 0)


def test_what_is_reserved_or_sold_cannot_be_taken_away(coffee: Product, database: Database) -> None:
    sold, reserved = (add_order(database, [(coffee.to_order, units)]) for units in (3, 4))
    for order_id in (sold, reserved):
        reserve(database, order_id)
    database.transact(lambda connection: inventory.confirm(connection, sold))

    answer = coffee.adjust(-4)

    assert answer.status == 409
    assert answer.json["type"].endswith("/stock-not-free")
    assert answer.json["detail"] == "3 are free; the others are reserved or sold"
    assert counters(coffee) == (10, 3, 4, 3)
    assert coffee.adjust(-3).status == 201
    assert counters(coffee) == (7, 0, 4, 3)


def test_a_refused_adjustment_may_be_sent_again_under_its_key(coffee: Product) -> None:
    """Refused is not done: once there is more, the same request succeeds."""
    assert coffee.adjust(-11, key="key-1").status == 409
    coffee.adjust(+1)

    assert coffee.adjust(-11, key="key-1").status == 201
    assert counters(coffee) == (0, 0, 0, 0)


def test_a_repeated_request_moves_nothing_again(coffee: Product) -> None:
    first, again = coffee.adjust(-3, key="key-1"), coffee.adjust(-3, key="key-1")

    assert (again.status, again.json) == (201, first.json)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert counters(coffee) == (7, 7, 0, 0)


@pytest.mark.parametrize("other", [{"delta": -4}, {"delta": -3, "reason": "Stolen"}])
def test_the_same_key_with_another_body_is_refused(coffee: Product, other: dict[str, Any]) -> None:
    coffee.adjust(-3, key="key-1")

    assert coffee.adjust(**other, key="key-1").status == 422
    assert counters(coffee) == (7, 7, 0, 0)


def test_the_same_key_for_another_product_is_refused(
    coffee: Product, admin: Client, database: Database
) -> None:
    coffee.adjust(-3, key="key-1")
    tea = Product(
        admin, admin.post(coffee.address.rsplit("/", 1)[0], TEA, {"Idempotency-Key": "t"}).json["productId"]
    )

    assert tea.adjust(-3, key="key-1").status == 422
    assert tea.now["available"] == 10


TEA = {"name": "Tea", "unitPrice": 300, "currency": "USD", "stock": 10}


def test_a_key_is_its_owners(coffee: Product, other_admin: Client) -> None:
    """Trap T8"""
    coffee.adjust(-3, key="key-1")

    theirs = Product(other_admin, coffee.id).adjust(-2, key="key-1")

    assert (theirs.status, theirs.json["movement"]["quantity"]) == (201, -2)
    assert counters(coffee) == (5, 5, 0, 0)


@pytest.mark.parametrize(
    ("delta", "reason", "pointer"),
    [
        (0, "r", "#/delta"),
        (1.5, "r", "#/delta"),
        ("1", "r", "#/delta"),
        (None, "r", "#/delta"),
        (2_000_000_000, "r", "#/delta"),
        (-(10**40), "r", "#/delta"),
        (1, "", "#/reason"),
        (1, None, "#/reason"),
        (1, "two\nlines", "#/reason"),
    ],
)
def test_what_cannot_be_is_refused_by_name(coffee: Product, delta: Any, reason: Any, pointer: str) -> None:
    """Trap T18: bounds, and not the database's complaint about them."""
    answer = coffee.adjust(delta, reason)

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert counters(coffee) == (10, 10, 0, 0)


def test_stock_is_exact_however_many_buy_and_adjust_at_once(
    coffee: Product, database: Database, credentials: Credentials
) -> None:
    """Of 10 units 20 buyers want one each, while 20 administrators take one away or bring one."""
    orders = [add_order(database, [(coffee.to_order, 1)]) for _ in range(BUYERS)]

    def buy(order_id: UUID) -> int:
        own = Database(lambda: credentials)
        try:
            reserve(own, order_id)
        except InsufficientStock:
            return 0
        finally:
            own.engine.dispose()
        return 1

    def adjust(number: int) -> int:
        own = Database(lambda: credentials)
        delta = 1 if number % 4 < 2 else -1
        try:
            stock.adjust_stock(
                own,
                coffee.id,
                NewAdjustment(delta=delta, reason="Counted"),
                user_id=ADMIN,
                # Each request twice, as from a client that does not wait for answers.
                key=f"key-{number // 2}",
            )
        except StockNotFree:
            return 0
        finally:
            own.engine.dispose()
        return delta

    with ThreadPoolExecutor(BUYERS + ADJUSTERS) as racing:
        buying = [racing.submit(buy, order_id) for order_id in orders]
        adjusting = [racing.submit(adjust, number) for number in range(ADJUSTERS)]
        bought = sum(future.result() for future in buying)
        answered = [future.result() for future in adjusting]

    recorded = [move for move in coffee.movements if move["kind"] == "ADJUSTED"]
    adjusted = sum(move["quantity"] for move in recorded)
    assert 0 < len(recorded) <= ADJUSTERS // 2
    assert any(answered)
    assert counters(coffee) == (10 + adjusted, 10 + adjusted - bought, bought, 0)
    assert books_of(database) == {UUID(coffee.id): coffee.now["stocked"]}
    assert [v.violations for v in check_database(database.engine) if v.promise == "I4"] == [()]


def books_of(database: Database) -> dict[UUID, int]:
    """What movements say is stocked, by product."""
    found = rows(
        database,
        "SELECT product_id, sum(quantity) AS stocked FROM stock_movements "
        "WHERE kind IN ('RECEIVED', 'ADJUSTED') GROUP BY product_id",
    )
    return {row["product_id"]: int(row["stocked"]) for row in found}


def test_movements_add_up_to_the_stock(coffee: Product, database: Database) -> None:
    order_id = add_order(database, [(coffee.to_order, 2)])
    coffee.adjust(+5)
    reserve(database, order_id)
    coffee.adjust(-4)
    database.transact(lambda connection: inventory.confirm(connection, order_id))

    assert counters(coffee) == (11, 9, 0, 2)
    assert books_of(database) == {UUID(coffee.id): 11}
    assert [(move["kind"], move["quantity"], move["orderId"]) for move in coffee.movements] == [
        ("CONFIRMED", 2, str(order_id)),
        ("ADJUSTED", -4, None),
        ("RESERVED", 2, str(order_id)),
        ("ADJUSTED", 5, None),
        ("RECEIVED", 10, None),
    ]
    assert [v.violations for v in check_database(database.engine) if v.promise == "I4"] == [()]
