"""With a million orders every search of operators goes by an index, and takes milliseconds, whatever it is combined
with."""

import random
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest

from functions.operations import payments, stats, walk, webhooks
from functions.operations.orders import timeline
from functions.operations.orders.search import EXAMINED, OrderSearch, search
from orders import pages
from orders.db import Credentials, Database
from orders.domain import FailureReason, OrderStatus, PaymentStatus
from tests.support import volume
from tests.support.plans import explaining
from tests.support.reads import Case, Read

LIMIT: Final = 20
PAGE: Final = 2 * (LIMIT + 1)
"""A page reads one order more than it shows: in the index, and itself."""
COMBINED: Final = 3 * EXAMINED
"""What one filter finds is held against the others, which may look elsewhere."""
LITTLE: Final = 5_000
"""Where no more is left to find, Postgres may read all of it and sort it, which takes no longer."""
A_MINUTE: Final = 60_000 // volume.SPACING_MILLISECONDS
"""Orders around a time range that are looked at: ids and `created_at` are of different clocks."""
ANY: Final = (1, volume.ORDERS)

Wanted = Callable[[int], dict[str, Any]]


def searched(wanted: Wanted, *, deep: bool = False, sort: Any = "newest") -> Read:
    """A page of the search for what is known of an order: the first page, or one that begins anywhere."""

    def read(database: Database, draw: random.Random) -> object:
        asked = OrderSearch(**wanted(draw.randint(*ANY)), sort=sort)
        after = volume.order_id(draw.randint(*ANY))
        return search(
            database,
            asked,
            pages.cursor_after(asked.listing, after) if deep else None,
            LIMIT,
            statements=1,
        )

    return read


def address(number: int) -> str:
    return f"User-{number % volume.USERS}@example.com"


def telephone(number: int) -> str:
    return f"+34600{number % volume.USERS:06}"


def a_day(number: int) -> dict[str, Any]:
    # A whole one: of the last minutes all is read and sorted.
    first = min(number, volume.ORDERS - 10_000)
    return {"placed_from": volume.placed_at(first), "placed_to": volume.placed_at(first + 10_000)}


def in_status(status: OrderStatus) -> Wanted:
    return lambda _: {"status": status}


BUSIEST: Final = volume.product_id(volume.BUSIEST_PRODUCT)

CASES: dict[str, Case] = {
    "all": Case(searched(lambda _: {}), PAGE),
    "all, any page": Case(searched(lambda _: {}, deep=True), PAGE),
    "id": Case(searched(lambda n: {"order_id": volume.order_id(n)}), 2),
    "e-mail": Case(searched(lambda n: {"email": address(n)}), PAGE + 60),
    "e-mail of one who has 100,000": Case(searched(lambda _: {"email": "largest@example.com"}), PAGE),
    "e-mail of one who has 100,000, any page": Case(
        searched(lambda _: {"email": "largest@example.com"}, deep=True), PAGE
    ),
    "e-mail of nobody": Case(searched(lambda _: {"email": "nobody@example.com"}), 0),
    "telephone": Case(searched(lambda n: {"phone": telephone(n)}), PAGE + 60),
    "idempotency key": Case(searched(lambda n: {"idempotency_key": f"key-{n}"}), 2),
    "correlation id": Case(searched(lambda n: {"correlation_id": f"correlation-{n}"}), 2),
    **{f"status {status}": Case(searched(in_status(status), deep=True), PAGE) for status in OrderStatus},
    "status NEEDS_REVIEW, oldest first": Case(
        searched(lambda _: {"status": OrderStatus.NEEDS_REVIEW}, sort="oldest"), PAGE
    ),
    "rare failure reason": Case(
        searched(lambda _: {"failure_reason": FailureReason.FRAUD_SUSPECTED}, deep=True), PAGE
    ),
    "failure reason of none": Case(
        searched(lambda _: {"failure_reason": FailureReason.RESERVATION_EXPIRED}), 0
    ),
    "product": Case(searched(lambda n: {"product_id": volume.product_id(2 + n % 1000)}, deep=True), PAGE),
    "product of 100,000, any page": Case(searched(lambda _: {"product_id": BUSIEST}, deep=True), PAGE),
    "time range": Case(searched(a_day), PAGE + A_MINUTE),
    "time range, oldest first": Case(searched(a_day, sort="oldest"), PAGE + A_MINUTE),
    "time range and status": Case(
        searched(lambda n: {"status": OrderStatus.CANCELLED, **a_day(n)}), PAGE + A_MINUTE
    ),
    "time range and product": Case(searched(lambda n: {"product_id": BUSIEST, **a_day(n)}), COMBINED),
    "product of 100,000 and a status": Case(
        searched(lambda _: {"product_id": BUSIEST, "status": OrderStatus.NEEDS_REVIEW}), COMBINED
    ),
    "product of 100,000 and a common status": Case(
        searched(lambda _: {"product_id": BUSIEST, "status": OrderStatus.CANCELLED}, deep=True), COMBINED
    ),
    "product and failure reason, which exclude each other": Case(
        searched(
            lambda _: {"product_id": BUSIEST, "failure_reason": FailureReason.PAYMENT_DECLINED}, deep=True
        ),
        COMBINED,
    ),
    "e-mail of one who has 100,000, and a failure reason": Case(
        searched(
            lambda _: {
                "email": "largest@example.com",
                "failure_reason": FailureReason.FRAUD_SUSPECTED,
            },
            deep=True,
        ),
        LITTLE,
    ),
}


def story(database: Database, draw: random.Random) -> object:
    stride = volume.STRIDE * volume.ORDERS_WITH_STEPS
    number = stride * draw.randint(1, volume.ORDERS_OF_LARGEST // volume.ORDERS_WITH_STEPS)
    parameters = {"order_id": volume.order_id(number)}
    return database.transact_alone(lambda connection: connection.scalar(timeline.STORY, parameters))


CASES["the rest of an order's story"] = Case(story, 100)


def listed(statement: walk.Statement, start: Callable[[random.Random], UUID] | None = None) -> Read:
    """A page of one of the lists that are walked through: the first one, or one that begins anywhere."""

    def read(database: Database, draw: random.Random) -> object:
        sql, parameters = statement(start(draw) if start else None, LIMIT)
        return database.transact_alone(lambda connection: connection.execute(sql, parameters).all())

    return read


def any_order(draw: random.Random) -> UUID:
    return volume.order_id(draw.randint(*ANY))


SEEN: Final = payments.EXAMINED
BOOKS: Final = 4
"""Tables that a payment is held against, and itself."""
WANTED: Final[tuple[payments.Wanted | None, ...]] = (None, *PaymentStatus, "CONFLICT")
for status in WANTED:
    for name, statement in payments.lists(status):
        CASES[name] = Case(listed(statement), BOOKS * SEEN + volume.ORDERS // 1_000 + 100)
        CASES[f"{name}, any page"] = Case(
            listed(statement, any_order), BOOKS * SEEN + volume.ORDERS // 1_000 + 100
        )
for name, statement in webhooks.lists(None):
    CASES[name] = Case(
        listed(statement),
        webhooks.EXAMINED * (2 + webhooks.LATEST) + 2 * (LIMIT + 1) * webhooks.LATEST**2,
    )


@pytest.mark.parametrize("name", CASES)
# The first one waits for the million.
@pytest.mark.timeout(300)
def test_a_search_goes_by_an_index_and_takes_milliseconds(million_orders: Credentials, name: str) -> None:
    CASES[name].hold(million_orders, random.Random(name))


def test_numbers_are_counted_without_reading_the_orders(million_orders: Credentials) -> None:
    """Events are none in this database."""
    database = Database(lambda: million_orders)
    with explaining(database) as plans:
        database.transact_alone(
            lambda connection: connection.execute(stats.COUNT, {"statuses": [*OrderStatus]}).one()
        )
    database.engine.dispose()

    of_orders = [scan for scan in plans.scans if " on orders: " in scan]
    assert of_orders
    assert all(scan.startswith("Index Only Scan") for scan in of_orders), of_orders
    assert plans.rows_scanned <= volume.UNKNOWN_PAYMENTS + volume.LOW
