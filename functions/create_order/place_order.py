"""The use case: an order, its lines, its outbox row and its idempotency key, in one transaction of two statements."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.create_order.models import MAX_QUANTITY, PlaceOrder
from orders import idempotency, outbox
from orders.db import Database
from orders.domain import Locale
from orders.errors import FieldError, InvalidOrder, PriceChanged, TooManyOrders
from orders.events import OrderCreated, Trace
from orders.idempotency import IdempotentRequest
from orders.ids import uuid7
from orders.money import format_money

RATE_WINDOW: Final = timedelta(minutes=1)
"""In any time of this length a user places no more orders than they may."""
LANE_ALLOWANCE: Final = 200
"""A user's orders wait for each other's COMMIT to be counted, and the times of as many orders as they may place are
remembered. Of an allowance larger than this both would be felt, so it is split into lanes of this size, and each order
is counted on one of them."""

# The order that must have left the window before another one may enter; NULL while the window has room.
_IN_THE_WAY: Final = "rate.recent[cardinality(rate.recent) - CAST(:most AS integer) + 1]"

# The earlier order under this key, how long the window stays full if it is, and the products of this order, in one
# round trip. An earlier order is all that matters if there is one: its products may have been withdrawn since.
_LOOK_UP: Final = text(f"""
    SELECT earlier.fingerprint, earlier.order_id, placed.total_amount, placed.currency AS order_currency,
           placed.created_at, product.id AS product_id, product.name AS product_name, product.unit_price,
           product.currency, product.active,
           {_IN_THE_WAY} + CAST(:window AS interval) - now() AS full_for
    FROM (VALUES (CAST(:user_id AS text))) AS request (user_id)
    LEFT JOIN idempotency_keys AS earlier ON {idempotency.SAME_KEY}
    LEFT JOIN orders AS placed ON placed.id = earlier.order_id
    LEFT JOIN order_rates AS rate ON (rate.user_id, rate.lane) = (request.user_id, :lane)
        AND {_IN_THE_WAY} > now() - CAST(:window AS interval)
    LEFT JOIN products AS product ON product.id = ANY (CAST(:product_ids AS uuid[]))
""")

_PLACE: Final = text(f"""
    WITH placed AS (
        INSERT INTO orders (id, user_id, currency, total_amount, payment_method, contact_email, contact_phone,
                            locale, correlation_id, priority)
        VALUES (:order_id, :user_id, :currency, :total_amount, :payment_method, :contact_email, :contact_phone,
                :locale, :correlation_id, :priority)
        RETURNING created_at
    ), lines AS (
        INSERT INTO order_items (order_id, line_no, product_id, product_name, quantity, unit_price)
        SELECT :order_id, line_no, product_id, product_name, quantity, unit_price
        FROM unnest(CAST(:product_ids AS uuid[]), CAST(:product_names AS text[]), CAST(:quantities AS int[]),
                    CAST(:unit_prices AS bigint[]))
             WITH ORDINALITY AS line (product_id, product_name, quantity, unit_price, line_no)
    ), remembered AS (
        {idempotency.insert("idempotency_keys", order_id=":order_id")}
    ), event AS (
        {outbox.INSERT}
    ), counted AS (
        INSERT INTO order_rates AS rate (user_id, lane, recent) VALUES (:user_id, :lane, ARRAY[now()])
        ON CONFLICT (user_id, lane) DO UPDATE
        SET recent = rate.recent[cardinality(rate.recent) - CAST(:most AS integer) + 2 :]
            -- An order may have waited here for one that began after it: times are kept in the order of counting.
            || greatest(now(), rate.recent[cardinality(rate.recent)])
        WHERE coalesce({_IN_THE_WAY} <= now() - CAST(:window AS interval), true)
        RETURNING lane
    )
    SELECT placed.created_at, counted.lane AS counted_on FROM placed LEFT JOIN counted ON true
""")


@dataclass(frozen=True)
class OrderRequest:
    """Who orders what, under which key, and how often they may."""

    user_id: str
    key: str
    order: PlaceOrder
    trace: Trace
    allowance: int
    """Orders that the user may place in any `RATE_WINDOW`."""


@dataclass(frozen=True)
class Placed:
    """The order of a request; `replayed` if an earlier request made it."""

    order_id: UUID
    total_amount: int
    currency: str
    created_at: datetime
    replayed: bool


@dataclass(frozen=True)
class _Line:
    product_id: UUID
    quantity: int


def place_order(database: Database, request: OrderRequest) -> Placed:
    """Accepts the order once per user and key (promises I1 and I10).

    Raises:
        InvalidOrder: a product is unknown, inactive or in another currency, or a merged line is too large.
        PriceChanged: the order costs another amount than its customer expects. Nothing was written.
        IdempotencyKeyReused: the key belongs to another request of this user's.
        TooManyOrders: the user has placed as many in the last `RATE_WINDOW` as they may. Nothing was written.
        DatabaseUnavailable: nobody knows whether it was accepted; the same request may be sent again.
    """
    order_id = uuid7()
    lines = _merge(request.order)

    def work(connection: Connection) -> Placed:
        return _place(connection, request, order_id, lines)

    try:
        return idempotency.run(database, work)
    except _OvertakenToTheLast:
        pass
    return database.transact(work)


class _OvertakenToTheLast(TooManyOrders):
    """The window had room when this request looked, and others of the user's took it. The next look tells how long the
    window is full; until then, shortly."""

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)


def _place(connection: Connection, request: OrderRequest, order_id: UUID, lines: Sequence[_Line]) -> Placed:
    order = request.order
    product_ids = [line.product_id for line in lines]
    # What the customer expects to pay is a condition on the order, and no part of it: who has seen another price
    # meanwhile is still told of the order that there is, and never has a second one.
    idempotent = IdempotentRequest.of(
        order.model_copy(update={"expected_total_amount": None}), user_id=request.user_id, key=request.key
    )
    common = {**idempotent.row, "window": RATE_WINDOW, **_lane(request.allowance, order_id)}
    found = connection.execute(_LOOK_UP, {**common, "product_ids": product_ids}).all()
    if found[0].order_id is not None:
        idempotent.check(found[0].fingerprint)
        return _placed_before(found[0], order_id)
    if found[0].full_for is not None:
        raise TooManyOrders(retry_after_seconds=math.ceil(found[0].full_for.total_seconds()))

    products = _products(order, found)
    total_amount = sum(line.quantity * products[line.product_id].unit_price for line in lines)
    _check_expectation(order, total_amount)
    event = OrderCreated(total_amount=total_amount, currency=order.currency)
    placed = connection.execute(
        _PLACE,
        {
            **common,
            "total_amount": total_amount,
            "product_ids": product_ids,
            "product_names": [products[product_id].product_name for product_id in product_ids],
            "quantities": [line.quantity for line in lines],
            "unit_prices": [products[product_id].unit_price for product_id in product_ids],
            **_order_columns(order),
            **outbox.row(order_id, event, request.trace, priority=order.priority),
        },
    ).one()
    if placed.counted_on is None:
        raise _OvertakenToTheLast
    return Placed(order_id, total_amount, order.currency, placed.created_at, replayed=False)


def _lane(allowance: int, order_id: UUID) -> dict[str, int]:
    """Which row an order counts on, and what that may take."""
    lanes = max(1, allowance // LANE_ALLOWANCE)
    return {"lane": order_id.int % lanes, "most": allowance // lanes}


def _merge(order: PlaceOrder) -> list[_Line]:
    """The lines with equal products added up, in the order in which they first appear."""
    quantities: dict[UUID, int] = {}
    for index, item in enumerate(order.items):
        quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
        if quantities[item.product_id] > MAX_QUANTITY:
            raise _refuse(
                [(index, "quantity", f"At most {MAX_QUANTITY} of one product, over all lines together")]
            )
    return [_Line(product_id, quantity) for product_id, quantity in quantities.items()]


def _products(order: PlaceOrder, found: Sequence[Row[Any]]) -> dict[UUID, Row[Any]]:
    products = {row.product_id: row for row in found}
    refused = []
    for index, item in enumerate(order.items):
        product = products.get(item.product_id)
        if product is None:
            refused.append((index, "productId", "There is no such product"))
        elif not product.active:
            refused.append((index, "productId", "This product is not on sale"))
        elif product.currency != order.currency:
            refused.append((index, "productId", f"This product is priced in {product.currency}"))
    if refused:
        raise _refuse(refused)
    return products


def _check_expectation(order: PlaceOrder, total_amount: int) -> None:
    expected, currency = order.expected_total_amount, order.currency
    if expected is not None and expected != total_amount:
        costs, expects = (format_money(amount, currency, Locale.EN) for amount in (total_amount, expected))
        raise PriceChanged(
            f"The order costs {costs} now, not {expects}", total_amount=total_amount, currency=currency
        )


def _refuse(fields: Iterable[tuple[int, str, str]]) -> InvalidOrder:
    errors = tuple(FieldError(f"#/items/{index}/{name}", detail) for index, name, detail in fields)
    return InvalidOrder("Refused: " + ", ".join(error.pointer for error in errors), errors)


def _placed_before(earlier: Row[Any], order_id: UUID) -> Placed:
    return Placed(
        earlier.order_id,
        earlier.total_amount,
        earlier.order_currency,
        earlier.created_at,
        # Our own id is there if the connection was lost around COMMIT and the transaction is run again.
        replayed=earlier.order_id != order_id,
    )


def _order_columns(order: PlaceOrder) -> dict[str, Any]:
    return {
        "currency": order.currency,
        "payment_method": order.payment_method,
        "contact_email": order.contact.email,
        "contact_phone": order.contact.phone,
        "locale": order.contact.locale,
        "priority": order.priority,
    }
