"""With a million orders every read goes by an index, reads about as many rows as it shows, and takes milliseconds.

Parameters vary from one execution to the next.
"""

import random
from typing import Final

import pytest

from functions.read_orders import queries
from orders import pages
from orders.db import Credentials, Database
from orders.domain import OrderStatus
from orders.payments.provider import PaymentProvider
from tests.support import volume
from tests.support.reads import Case, Read

LIMIT: Final = 20
DETAIL: Final = 2
PAYMENT: Final = 1
STEPS: Final = 6


def orders(
    user: str | None,
    *,
    status: OrderStatus | None = None,
    after: tuple[int, int] | None = None,
    limit: int = LIMIT,
) -> Read:
    """A page of orders: of this user or of any, the first page or one that begins after one of these orders."""

    def read(database: Database, draw: random.Random) -> object:
        listing = "orders" if status is None else f"orders in {status}"
        cursor = after and pages.cursor_after(listing, volume.order_id(draw.randint(*after)))
        return queries.list_orders(
            database,
            user or f"user-{draw.randint(1, volume.USERS)}",
            status=status,
            limit=limit,
            cursor=cursor,
        )

    return read


def order(database: Database, draw: random.Random) -> object:
    number = volume.STRIDE * draw.randint(1, volume.ORDERS_OF_LARGEST)
    return queries.read_order(database, volume.LARGEST_CUSTOMER, str(volume.order_id(number)), 30)


def order_of_smallest(database: Database, draw: random.Random) -> object:
    order_id = volume.order_id(volume.ORDER_OF_SMALLEST)
    return queries.read_order(database, volume.SMALLEST_CUSTOMER, str(order_id), 30)


def progress(database: Database, draw: random.Random) -> object:
    stride = volume.STRIDE * volume.ORDERS_WITH_STEPS
    number = stride * draw.randint(1, volume.ORDERS_OF_LARGEST // volume.ORDERS_WITH_STEPS)
    return queries.read_progress(
        database, volume.LARGEST_CUSTOMER, str(volume.order_id(number)), PaymentProvider.SIMULATOR
    )


def products(*, deep: bool) -> Read:
    def read(database: Database, draw: random.Random) -> object:
        after = volume.product_id(draw.randint(1, volume.PRODUCTS))
        cursor = pages.cursor_after("products", after) if deep else None
        return queries.list_products(database, limit=LIMIT, cursor=cursor)

    return read


def product(database: Database, draw: random.Random) -> object:
    return queries.read_product(database, str(volume.product_id(draw.randint(1, volume.PRODUCTS))))


PAGE: Final = 2 * (LIMIT + 1)
"""A page reads one order more than it shows, and the items of each."""
ANYWHERE: Final = (volume.ORDERS // 100, volume.ORDERS)
AT_THE_END: Final = (1, volume.ORDERS // 100)
LITTLE: Final = 5_000
"""Where no more is left of all orders than can be read as quickly as a page of one's own, it may be read instead."""

CASES: dict[str, Case] = {
    "orders, first page": Case(orders(None), PAGE),
    "orders, any page": Case(orders(None, after=ANYWHERE), PAGE),
    "orders of one who has one": Case(orders(volume.SMALLEST_CUSTOMER), DETAIL),
    "orders of one who has 100,000, first page": Case(orders(volume.LARGEST_CUSTOMER), PAGE),
    "orders of one who has 100,000, any page": Case(orders(volume.LARGEST_CUSTOMER, after=ANYWHERE), PAGE),
    "orders of one who has 100,000, one of the last pages": Case(
        orders(volume.LARGEST_CUSTOMER, after=AT_THE_END), LITTLE
    ),
    "orders of one who has 100,000, the largest page": Case(
        orders(volume.LARGEST_CUSTOMER, after=ANYWHERE, limit=pages.MAX_LIMIT), 2 * (pages.MAX_LIMIT + 1)
    ),
    "orders in a common status": Case(
        orders(volume.LARGEST_CUSTOMER, status=OrderStatus.CONFIRMED, after=ANYWHERE), PAGE
    ),
    "orders in a common status, of one of many": Case(orders(None, status=OrderStatus.CONFIRMED), PAGE),
    "orders in a rare status": Case(
        orders(volume.LARGEST_CUSTOMER, status=OrderStatus.NEEDS_REVIEW), 2 * volume.IN_REVIEW
    ),
    "orders in a rare status, any page": Case(
        orders(volume.LARGEST_CUSTOMER, status=OrderStatus.NEEDS_REVIEW, after=ANYWHERE), 2 * volume.IN_REVIEW
    ),
    "orders in a status that none of theirs is in": Case(
        orders(volume.LARGEST_CUSTOMER, status=OrderStatus.PENDING), 0
    ),
    "order": Case(order, DETAIL + PAYMENT),
    "order of one who has one": Case(order_of_smallest, DETAIL + PAYMENT),
    "status of an order": Case(progress, 1 + PAYMENT + STEPS),
    "products, first page": Case(products(deep=False), PAGE),
    "products, any page": Case(products(deep=True), PAGE),
    "product": Case(product, 2),
}


@pytest.mark.parametrize("name", CASES)
# The first one waits for the million.
@pytest.mark.timeout(300)
def test_a_read_goes_by_an_index_and_takes_milliseconds(million_orders: Credentials, name: str) -> None:
    CASES[name].hold(million_orders, random.Random(name))
