"""What administrators read goes by an index too, with a million movements and ten thousand products."""

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from functions.manage_catalogue import products, stock
from orders import pages
from orders.db import Credentials, Database
from tests.support import volume
from tests.support.plans import explaining

EXECUTIONS = 120
BUDGET_MS = 10
LIMIT = 20
PAGE = LIMIT + 1
ANYWHERE = (volume.ORDERS // 100, volume.ORDERS)
AT_THE_END = (1, volume.ORDERS // 100)
LITTLE = 5_000
"""Where no more is left of all movements than can be read as quickly as a page of one product's, it may be instead."""

Read = Callable[[Database, random.Random], object]


def all_products(*, deep: bool) -> Read:
    def read(database: Database, draw: random.Random) -> object:
        after = volume.product_id(draw.randint(1, volume.PRODUCTS))
        cursor = pages.cursor_after("all products", after) if deep else None
        return products.list_products(database, limit=LIMIT, cursor=cursor)

    return read


def product(database: Database, draw: random.Random) -> object:
    return products.read_product(database, str(volume.product_id(draw.randint(1, volume.PRODUCTS))))


def movements(number: int | None, *, after: tuple[int, int] | None = None) -> Read:
    """Of the product with this number or of any, the first page or one that begins after one of these movements."""

    def read(database: Database, draw: random.Random) -> object:
        product_id = volume.product_id(number or draw.randint(1, volume.PRODUCTS))
        cursor = after and pages.cursor_after(f"movements of {product_id}", draw.randint(*after))
        return stock.list_movements(database, str(product_id), limit=LIMIT, cursor=cursor)

    return read


@dataclass(frozen=True)
class Case:
    read: Read
    rows: int
    """At most, for each execution."""


CASES = {
    "all products, first page": Case(all_products(deep=False), 2 * PAGE),
    "all products, any page": Case(all_products(deep=True), 2 * PAGE),
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


@pytest.fixture(scope="module")
def explained(million_orders: Credentials) -> Iterator[Database]:
    database = Database(lambda: million_orders)
    yield database
    database.engine.dispose()


@pytest.mark.parametrize("name", CASES)
# The first one waits for the million.
@pytest.mark.timeout(300)
def test_a_read_goes_by_an_index_and_takes_milliseconds(explained: Database, name: str) -> None:
    case, draw = CASES[name], random.Random(name)
    seen = []
    for _ in range(EXECUTIONS):
        with explaining(explained) as plans:
            case.read(explained, draw)
        seen.append(plans)

    assert [len(plans.executed) for plans in seen] == [1] * EXECUTIONS
    widest = max(seen, key=lambda plans: plans.rows_scanned)
    assert widest.rows_scanned <= case.rows, widest.scans
    assert {scan for plans in seen for scan in plans.scans if scan.startswith("Seq Scan")} == set()
    assert statistics.quantiles([plans.milliseconds[0] for plans in seen], n=20)[-1] <= BUDGET_MS
