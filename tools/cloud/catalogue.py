"""The products of the local cloud, and products of a run's own, with their stock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from tools.cloud import postgres
from tools.cloud.settings import Settings

CURRENCY: Final = "USD"
_PLENTY: Final = 100_000


@dataclass(frozen=True)
class Product:
    id: UUID
    name: str
    unit_price: int
    """Minor units."""
    available: int = _PLENTY
    """Stock is topped up to this at every start."""
    active: bool = True


def _id(number: int) -> UUID:
    """A fixed UUIDv7, so that examples can name it."""
    return UUID(f"01900000-0000-7000-8000-{number:012d}")


KEYBOARD: Final = Product(_id(1), "Mechanical keyboard", 12_900)
MOUSE: Final = Product(_id(2), "Wireless mouse", 4_900)
LAST_FIVE: Final = Product(_id(7), "Keycaps, limited edition", 8_900, available=5)
INACTIVE: Final = Product(_id(8), "Trackball, discontinued", 7_900, active=False)

PRODUCTS: Final = (
    KEYBOARD,
    MOUSE,
    Product(_id(3), "Monitor, 27 inches", 34_900),
    Product(_id(4), "USB-C dock", 18_900),
    Product(_id(5), "Laptop stand", 5_900),
    Product(_id(6), "Headphones", 24_900),
    LAST_FIVE,
    INACTIVE,
)

_UPSERT_PRODUCTS: Final = """
    INSERT INTO products (id, name, unit_price, currency, active)
    SELECT id, name, unit_price, :currency, active
    FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:prices AS bigint[]), CAST(:active AS boolean[]))
        AS product (id, name, unit_price, active)
    ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, unit_price = excluded.unit_price, active = excluded.active, updated_at = now()
    WHERE (products.name, products.unit_price, products.active)
        IS DISTINCT FROM (excluded.name, excluded.unit_price, excluded.active)
"""
_ADD_STOCK_ROWS: Final = """
    INSERT INTO stock (product_id, stocked, available)
    SELECT id, 0, 0 FROM unnest(CAST(:ids AS uuid[])) AS product (id)
    ON CONFLICT DO NOTHING
"""
# What arrives is a movement like any other, so the sums stay right (promise I4).
_RECEIVE: Final = """
    WITH short AS (
        SELECT product_id, wanted.available - stock.available AS quantity
        FROM unnest(CAST(:ids AS uuid[]), CAST(:available AS bigint[])) AS wanted (product_id, available)
        JOIN stock USING (product_id)
        WHERE stock.available < wanted.available
        FOR UPDATE OF stock
    ), received AS (
        UPDATE stock SET stocked = stocked + short.quantity, available = available + short.quantity
        FROM short
        WHERE stock.product_id = short.product_id
        RETURNING stock.product_id, short.quantity
    )
    INSERT INTO stock_movements (product_id, kind, quantity)
    SELECT product_id, 'RECEIVED', quantity FROM received
"""


def seed(settings: Settings) -> None:
    """Brings catalogue and stock to what the demonstration needs; nothing changes if they are there."""
    _offer(settings, PRODUCTS)


@contextmanager
def on_sale(settings: Settings, products: Sequence[Product]) -> Iterator[None]:
    """Puts new products on sale with an exact stock that nobody else buys from, and takes them off at the end.

    A killed run leaves its products on sale, which harms nobody: the next run brings its own.
    """
    _offer(settings, products)
    try:
        yield
    finally:
        _offer(settings, [replace(product, active=False, available=0) for product in products])


def _offer(settings: Settings, products: Sequence[Product]) -> None:
    ids = [product.id for product in products]
    with postgres.connect(settings) as connection:
        connection.run("BEGIN")
        connection.run(
            _UPSERT_PRODUCTS,
            ids=ids,
            names=[product.name for product in products],
            prices=[product.unit_price for product in products],
            active=[product.active for product in products],
            currency=CURRENCY,
        )
        connection.run(_ADD_STOCK_ROWS, ids=ids)
        connection.run(_RECEIVE, ids=ids, available=[product.available for product in products])
        connection.run("COMMIT")
