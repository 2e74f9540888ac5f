"""Refunds of confirmed orders. No other module writes `refunds` and `refund_lines`.

    grant ─▶ REQUESTED ─ complete ─▶ COMPLETED
                 │ ─ require_review ─▶ NEEDS_REVIEW ─ resume ─▶ REQUESTED
                 └───────────────────────── reject ─▶ REJECTED        (by an operator)

A refund is granted first, in one transaction, and carried out after that by an execution of its own
(`statemachines/order_refund.asl.json`). What is granted counts against what was captured and sold until it is REJECTED,
so refunds never exceed either, whoever asks and however often (promise I13). The order stays CONFIRMED.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from orders import outbox
from orders.domain import Locale, OrderStatus, RefundOrigin
from orders.errors import (
    FieldError,
    InvalidRefund,
    OrderNotFound,
    OrderNotRefundable,
    RefundExceedsCapture,
    RefundExceedsSale,
)
from orders.events import RefundRequested, Trace
from orders.ids import uuid7
from orders.money import format_money
from orders.payments import records
from orders.payments.gateway import GatewayRefund

_LOOK: Final = text("SELECT status, currency FROM orders WHERE id = :order_id")

# The lock that puts all grants of an order in an order. A statement of its own: the next one then sees what those
# before it have granted.
_LOCK: Final = text("SELECT captured FROM payments WHERE order_id = :order_id FOR NO KEY UPDATE")

_TAKEN: Final = text("""
    SELECT (SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = :order_id AND status <> 'REJECTED')
         + (SELECT coalesce(sum(amount), 0) FROM payment_disputes
            WHERE order_id = :order_id AND status IN ('OPEN', 'LOST'))
""")

_LINES: Final = text("""
    SELECT item.product_id, item.unit_price, item.quantity - coalesce((
        SELECT sum(line.quantity) FROM refunds AS refund JOIN refund_lines AS line ON line.refund_id = refund.id
        WHERE refund.order_id = item.order_id AND refund.status <> 'REJECTED' AND line.product_id = item.product_id
    ), 0) AS units_left
    FROM order_items AS item WHERE item.order_id = :order_id ORDER BY item.line_no
""")

_INSERT: Final = text("""
    WITH granted AS (
        INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock)
        VALUES (:refund_id, :order_id, :origin, :requested_by, :reason, :amount, :restock)
    )
    INSERT INTO refund_lines (refund_id, product_id, quantity)
    SELECT :refund_id, product_id, quantity
    FROM unnest(CAST(:product_ids AS uuid[]), CAST(:quantities AS integer[])) AS line (product_id, quantity)
""")


_GRANTED: Final = text("""
    SELECT coalesce(sum(amount), 0) FROM refunds
    WHERE order_id = :order_id AND status <> 'REJECTED' AND origin <> 'PROVIDER'
""")

_LOCK_PAYMENT: Final = text("""
    SELECT captured - refunded AS held FROM payments
    WHERE order_id = :order_id AND status IN ('CAPTURED', 'REFUNDED')
    FOR NO KEY UPDATE
""")
_RECORD_MADE: Final = text("""
    INSERT INTO refunds
        (id, order_id, origin, requested_by, reason, amount, restock, status, provider_refund_id, refunded_at)
    SELECT id, :order_id, 'PROVIDER', 'payment provider', 'Made at the payment provider', amount, false, 'COMPLETED',
           provider_refund_id, now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[]), CAST(:provider_refund_ids AS text[]))
        AS made (id, amount, provider_refund_id)
    ON CONFLICT (provider_refund_id) DO NOTHING
    RETURNING amount
""")


@dataclass(frozen=True)
class Granted:
    """A new refund. `amount` is in minor units of the order's currency."""

    refund_id: UUID
    amount: int


def grant(
    connection: Connection,
    order_id: UUID,
    *,
    origin: RefundOrigin,
    requested_by: str,
    reason: str,
    amount: int | None,
    lines: Mapping[UUID, int],
    restock: bool,
    trace: Trace,
) -> Granted:
    """Grants a refund of a confirmed order in the caller's transaction, and writes the event that has it carried out.

    Either `lines`, units by product id, which are worth what they were sold for; or an `amount` in minor units; or
    neither: all money and all units that are left. With `restock` the units go back to stock.

    Raises:
        OrderNotFound: there is no such order.
        OrderNotRefundable: it is not CONFIRMED.
        InvalidRefund: a line is none of the order's.
        RefundExceedsSale: more units than are left of a line.
        RefundExceedsCapture: more than is left of what was captured, or nothing is left.
    """
    assert amount is None or not lines, "the price of lines is what they were sold for"
    order = connection.execute(_LOOK, {"order_id": order_id}).first()
    if order is None:
        raise OrderNotFound("There is no such order")
    if order.status != OrderStatus.CONFIRMED:
        raise OrderNotRefundable(f"The order is {order.status}: only a CONFIRMED one can be refunded")
    captured: int = connection.execute(_LOCK, {"order_id": order_id}).scalar_one()
    left = captured - int(connection.execute(_TAKEN, {"order_id": order_id}).scalar_one())
    if amount is None:
        sold = {row.product_id: row for row in connection.execute(_LINES, {"order_id": order_id})}
        if lines:
            amount = _price(sold, lines)
        else:
            amount = max(left, 0)
            lines = {product_id: row.units_left for product_id, row in sold.items() if row.units_left}
    if not 0 < amount <= left:
        raise RefundExceedsCapture(_what_is_left(left, captured, order.currency))
    refund_id = uuid7()
    connection.execute(
        _INSERT,
        {
            "refund_id": refund_id,
            "order_id": order_id,
            "origin": origin,
            "requested_by": requested_by,
            "reason": reason,
            "amount": amount,
            "restock": restock and bool(lines),
            "product_ids": list(lines),
            "quantities": list(lines.values()),
        },
    )
    outbox.add(connection, order_id, RefundRequested(refund_id=refund_id), trace)
    return Granted(refund_id, amount)


def total_granted(connection: Connection, order_id: UUID) -> int:
    """What we have granted of the order's payment, in minor units: all that the gateway gives back for us."""
    return int(connection.execute(_GRANTED, {"order_id": order_id}).scalar_one())


def record_made_at_provider(
    connection: Connection, order_id: UUID, made: Sequence[GatewayRefund]
) -> list[int]:
    """Records refunds that somebody made at the provider, each once, and what they take of the payment. Returns the
    amounts of those that are new.

    Of a payment whose capture is not recorded yet nothing is recorded: it is found again when that is.
    """
    payment = connection.execute(_LOCK_PAYMENT, {"order_id": order_id}).first() if made else None
    if payment is None:
        return []
    parameters = {
        "order_id": order_id,
        "ids": [uuid7() for _ in made],
        "amounts": [refund.amount for refund in made],
        "provider_refund_ids": [refund.refund_id for refund in made],
    }
    new = list(connection.scalars(_RECORD_MADE, parameters))
    # Of a payment that was closed as refunded all is given back in our books: these were part of it.
    amount = min(sum(new), payment.held)
    if amount:
        records.give_back(connection, order_id, amount)
    return new


def _price(sold: Mapping[UUID, Row[Any]], lines: Mapping[UUID, int]) -> int:
    """What the lines were sold for, in minor units."""
    strange = tuple(
        FieldError(f"#/lines/{index}/productId", "The order has no such line")
        for index, product_id in enumerate(lines)
        if product_id not in sold
    )
    if strange:
        raise InvalidRefund("The refund names products that were not ordered", strange)
    for product_id, quantity in lines.items():
        if quantity > sold[product_id].units_left:
            raise RefundExceedsSale(
                f"{sold[product_id].units_left} of product {product_id} are left to be refunded, not {quantity}"
            )
    return sum(quantity * int(sold[product_id].unit_price) for product_id, quantity in lines.items())


def _what_is_left(left: int, captured: int, currency: str) -> str:
    def money(amount: int) -> str:
        return format_money(max(amount, 0), currency, Locale.EN)

    return f"{money(left)} of the {money(captured)} that were captured can still be refunded"
