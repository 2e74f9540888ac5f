"""What administrators read goes by an index too, with a million movements and ten thousand products."""

import random

import pytest

from functions.manage_catalogue import products, stock
from orders import pages
from orders.db import Credentials, Database
from tests.support import volume
from tests.support.reads import Case, Read

LIMIT = 20
PAGE = LIMIT + 1
ANYWHERE = (volume.ORDERS // 100, volume.ORDERS)
AT_THE_END = (1, volume.ORDERS // 100)
LITTLE = 5_000
"""Where no more is left of all movements than can be read as quickly as a page of one product's, it may be instead."""


def all_products(*, deep: bool) -> Read:
    def read(database: Database, draw: random.Random) -> object:
        after = volume.product_id(draw.randint(1, volume.PRODUCTS))
        cursor = pages.cursor_after("all products", after) if deep else None
        return products.list_products(database, limit=LIMIT, cursor=cursor)

    return read


def low_products(database: Database, draw: random.Random) -> object:
    after = volume.product_id(draw.randint(1, volume.PRODUCTS))
    cursor = pages.cursor_after("products low on stock", after)
    return products.list_products(database, only_low=True, limit=LIMIT, cursor=cursor)


def product(database: Database, draw: random.Random) -> object:
    return products.read_product(database, str(volume.product_id(draw.randint(1, volume.PRODUCTS))))


def movements(number: int | None, *, after: tuple[int, int] | None = None) -> Read:
    """Of the product with this number or of any, the first page or one that begins after one of these movements."""

    def read(database: Database, draw: random.Random) -> object:
        product_id = volume.product_id(number or draw.randint(1, volume.PRODUCTS))
        cursor = after and pages.cursor_after(f"movements of {product_id}", draw.randint(*after))
        return stock.list_movements(database, str(product_id), limit=LIMIT, cursor=cursor)

    return read


CASES = {
    "all products, first page": Case(all_products(deep=False), 2 * PAGE),
    "all products, any page": Case(all_products(deep=True), 2 * PAGE),
    "products that are low on stock": Case(low_products, 3 * PAGE),
    "product": Case(product, 2),
    "movements, first page": Case(movements(None), 1 + PAGE),
    "movements of the busiest product, first page": Case(movements(volume.BUSIEST_PRODUCT), 1 + PAGE),
    "movements of the busiest product, any page": Case(
        movements(volume.BUSIEST_PRODUCT, after=ANYWHERE), 1 + PAGE
    ),
    "movements of the busiest product, one of the last pages": Case(
        movements(volume.BUSIEST_PRODUCT, after=AT_THE_END), LITTLE
    ),
    "movements of a product that never moved": Case(movements(volume.IDLE_PRODUCT), 1),
}


@pytest.mark.parametrize("name", CASES)
# The first one waits for the million.
@pytest.mark.timeout(300)
def test_a_read_goes_by_an_index_and_takes_milliseconds(million_orders: Credentials, name: str) -> None:
    CASES[name].hold(million_orders, random.Random(name))
