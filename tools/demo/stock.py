"""The demonstration's own products, for scenarios that need an exact stock."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, func, insert, update

from orders.tables import products, stock, stock_movements
from tools.cloud.catalogue import CURRENCY, Product


@contextmanager
def on_sale(engine: Engine, new: Sequence[Product]) -> Iterator[None]:
    """Brings new products, with their stock, into the catalogue, and takes them out of it in the end.

    A killed run leaves its products on sale, which nobody minds: the next run brings its own.
    """
    with engine.begin() as connection:
        for product in new:
            connection.execute(
                insert(products).values(
                    id=product.id,
                    name=product.name,
                    unit_price=product.unit_price,
                    currency=CURRENCY,
                    active=product.active,
                )
            )
            units = product.available
            connection.execute(insert(stock).values(product_id=product.id, stocked=units, available=units))
            connection.execute(
                insert(stock_movements).values(product_id=product.id, kind="RECEIVED", quantity=units)
            )
    try:
        yield
    finally:
        with engine.begin() as connection:
            ids = [product.id for product in new]
            connection.execute(
                update(products).where(products.c.id.in_(ids)).values(active=False, updated_at=func.now())
            )
