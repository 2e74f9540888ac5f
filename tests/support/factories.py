"""Products and orders to test with, made the way production makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, text

from functions.create_order.models import PlaceOrder
from functions.create_order.place_order import OrderRequest, place_order
from orders.db import Database
from orders.events import Trace
from orders.ids import uuid7
from tests.support.tables import products, stock

ALICE = "alice-4b1f"
BOB = "bob-77ac"
EMAIL = "alice.liddell@example.com"
PHONE = "+34600123456"
ALLOWANCE = 10_000
"""Orders a minute: as many as a test may want to place."""
TRACE = Trace("correlation-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
TRACE_ID = "1-0af76519-16cd43dd8448eb211c80319c"
"""Its trace's id in log lines."""


@dataclass(frozen=True)
class Product:
    product_id: UUID
    name: str
    unit_price: int
    currency: str


def add_product(
    database: Database,
    *,
    name: str = "Coffee beans",
    unit_price: int = 1250,
    currency: str = "USD",
    available: int = 1000,
    active: bool = True,
) -> Product:
    """A product in the catalogue with its stock. `unit_price` is in minor units."""
    product = Product(uuid7(), name, unit_price, currency)

    def work(connection: Connection) -> None:
        connection.execute(
            insert(products).values(
                id=product.product_id, name=name, unit_price=unit_price, currency=currency, active=active
            )
        )
        connection.execute(
            insert(stock).values(product_id=product.product_id, stocked=available, available=available)
        )

    database.transact(work)
    return product


def order_body(lines: Sequence[tuple[UUID, int]], **changes: Any) -> dict[str, Any]:
    """The JSON body of `POST /orders` for (product id, quantity) lines; `changes` replace top-level fields."""
    return {
        "items": [{"productId": str(product_id), "quantity": quantity} for product_id, quantity in lines],
        "currency": "USD",
        "paymentMethod": "pm_card_visa",
        "contact": {"email": EMAIL, "phone": PHONE, "locale": "en"},
        **changes,
    }


def order_request(body: Mapping[str, Any], *, user_id: str = ALICE, key: str | None = None) -> OrderRequest:
    """What the handler makes of a body; a fresh key unless one is given."""
    return OrderRequest(user_id, key or uuid4().hex, PlaceOrder.model_validate(body), TRACE, ALLOWANCE)


def add_order(
    database: Database,
    lines: Sequence[tuple[Product, int]] | None = None,
    *,
    user_id: str = ALICE,
    payment_method: str = "pm_card_visa",
) -> UUID:
    """An accepted order, PENDING, with its outbox row; two units of a new product unless `lines` are given."""
    chosen = lines if lines is not None else [(add_product(database), 2)]
    body = order_body(
        [(product.product_id, quantity) for product, quantity in chosen],
        currency=chosen[0][0].currency,
        paymentMethod=payment_method,
    )
    return place_order(database, order_request(body, user_id=user_id)).order_id


def rows(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """What a query finds, as dictionaries, in a transaction of its own."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(text(sql), parameters).mappings()]

    return database.transact(work)


def execute(database: Database, sql: str, **parameters: Any) -> None:
    """One statement in a transaction of its own."""
    database.transact(lambda connection: connection.execute(text(sql), parameters))
