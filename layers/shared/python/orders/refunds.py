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
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from orders import inventory, notifications, outbox
from orders.domain import Locale, Notification, OrderStatus, RefundOrigin, RefundStatus
from orders.errors import (
    FieldError,
    InvalidRefund,
    OrderNotFound,
    OrderNotRefundable,
    RefundClosed,
    RefundExceedsCapture,
    RefundExceedsSale,
    RefundNotInReview,
)
from orders.events import OrderRefunded, PaymentRefunded, RefundRequested, Trace
from orders.ids import uuid7
from orders.money import format_money
from orders.payments import records
from orders.payments.gateway import GatewayRefund

_LOOK: Final = text("SELECT status, currency, correlation_id FROM orders WHERE id = :order_id")

# The lock that puts all grants of an order in an order. A statement of its own: the next one then sees what those
# before it have granted.
_LOCK: Final = text("SELECT captured FROM payments WHERE order_id = :order_id FOR NO KEY UPDATE")

_ALL_TAKEN: Final = """
    (SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = :order_id AND status <> 'REJECTED')
    + (SELECT coalesce(sum(amount), 0) FROM payment_disputes
       WHERE order_id = :order_id AND status IN ('OPEN', 'LOST'))
"""
_TAKEN: Final = text(f"SELECT {_ALL_TAKEN}")
_LEFT: Final = text(f"""
    SELECT captured, CAST(captured - ({_ALL_TAKEN}) AS bigint) AS left FROM payments WHERE order_id = :order_id
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

_FIND: Final = text("""
    SELECT refund.id, refund.order_id, refund.status, refund.amount, refund.restock, refund.refunded_at,
           payments.provider_key
    FROM refunds AS refund JOIN payments ON payments.order_id = refund.order_id
    WHERE refund.id = :refund_id
""")

# The row that was updated is the lock: who comes second finds the time set, and changes nothing. Money that moved after
# all, of a refund that was rejected, is recorded as well, and an operator has to look at it.
_RECORD_REFUNDED: Final = text("""
    UPDATE refunds
    SET refunded_at = now(), updated_at = now(),
        status = CASE WHEN refunds.status = 'REJECTED' THEN 'NEEDS_REVIEW' ELSE refunds.status END
    FROM orders
    WHERE refunds.id = :refund_id AND refunded_at IS NULL AND orders.id = order_id
    RETURNING order_id, amount, currency
""")
_RECORD_RESTOCKED: Final = text("""
    UPDATE refunds SET restocked_at = now(), updated_at = now()
    WHERE id = :refund_id AND restock AND restocked_at IS NULL AND status = 'REQUESTED'
    RETURNING order_id
""")

# Contact data may have been erased by then: nobody is left to be told.
_COMPLETE: Final = text(f"""
    WITH completed AS (
        UPDATE refunds SET status = 'COMPLETED', error = NULL, updated_at = now()
        FROM orders
        WHERE refunds.id = :refund_id AND refunds.status = 'REQUESTED' AND orders.id = refunds.order_id
          AND refunded_at IS NOT NULL AND (restocked_at IS NOT NULL OR NOT restock)
        RETURNING refunds.amount, orders.id, orders.user_id, orders.currency, orders.total_amount, orders.created_at,
                  orders.contact_email, orders.contact_phone
    ), announced AS (
        INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
        SELECT :announcement_id, '{OrderRefunded.type}', completed.id,
               jsonb_build_object(
                   'refundId', CAST(:refund_id AS uuid), 'amount', completed.amount,
                   'refundedAmount', payments.refunded, 'totalAmount', completed.total_amount,
                   'currency', completed.currency, 'createdAt', completed.created_at
               ),
               :correlation_id, :traceparent
        FROM completed JOIN payments ON payments.order_id = completed.id
        WHERE EXISTS (
            SELECT FROM webhook_endpoints AS endpoint
            WHERE endpoint.user_id = completed.user_id AND endpoint.status = 'ENABLED'
        )
    ), {notifications.request_parts("SELECT id, contact_phone FROM completed WHERE contact_email IS NOT NULL")}
    SELECT id FROM completed
""")

# A refusal that the step has written down says more than the name of the error that ended the execution.
_REQUIRE_REVIEW: Final = text("""
    UPDATE refunds SET status = 'NEEDS_REVIEW', error = coalesce(error, :error), updated_at = now()
    WHERE id = :refund_id AND status = 'REQUESTED'
    RETURNING order_id
""")
_RECORD_ERROR: Final = text("""
    UPDATE refunds SET error = :error, updated_at = now() WHERE id = :refund_id AND status = 'REQUESTED'
""")

# By an operator: only the refund that was looked at, whoever has moved it since was quicker.
_IN_REVIEW: Final = "WHERE id = :refund_id AND status = 'NEEDS_REVIEW' AND updated_at = :looked_at"
_RESUME: Final = text(f"""
    UPDATE refunds SET status = 'REQUESTED', error = NULL, resumes = resumes + 1, updated_at = now()
    {_IN_REVIEW}
    RETURNING resumes
""")
_REJECT: Final = text(f"""
    UPDATE refunds SET status = 'REJECTED', updated_at = now()
    {_IN_REVIEW} AND refunded_at IS NULL
    RETURNING id
""")

# The touch is the claim: nobody else claims it before the time is over again. An event that was not published yet has
# its relay, and one that was published a moment ago its consumer.
_CLAIM_UNMOVED: Final = text("""
    WITH claimed AS (
        UPDATE refunds SET updated_at = now()
        WHERE id = ANY (ARRAY(
            SELECT refund.id FROM refunds AS refund
            WHERE refund.status = 'REQUESTED' AND refund.updated_at < now() - make_interval(secs => :patience)
              AND NOT EXISTS (
                  SELECT FROM outbox
                  WHERE subject = refund.order_id AND type = 'com.orders.refund.requested.v1'
                    AND data ->> 'refundId' = CAST(refund.id AS text)
                    AND (outbox.status = 'PENDING' OR published_at > now() - make_interval(secs => :patience))
              )
            ORDER BY refund.updated_at
            LIMIT :limit
            FOR UPDATE SKIP LOCKED
        ))
        RETURNING id, order_id, resumes
    )
    SELECT claimed.*, orders.correlation_id FROM claimed JOIN orders ON orders.id = claimed.order_id
""")

# Only over the number that was looked at, and only while the refund is on its way: the claim of the execution's name.
_CLAIM_NUMBER: Final = text("""
    UPDATE refunds SET resumes = :resumes, updated_at = now()
    WHERE id = :refund_id AND resumes = :looked_at AND status = 'REQUESTED'
    RETURNING id
""")


@dataclass(frozen=True)
class Refund:
    """A refund on its way. `amount` is in minor units of its order's currency."""

    refund_id: UUID
    order_id: UUID
    status: RefundStatus
    amount: int
    restock: bool
    is_given_back: bool
    """The provider has given the money back, and that is recorded."""
    payment_key: str

    @property
    def refund_key(self) -> str:
        """Never changes, so that the provider recognises a repeated request."""
        return f"refund-{self.refund_id}"


@dataclass(frozen=True)
class UnmovedRefund:
    """A refund that has not moved for a while."""

    refund_id: UUID
    order_id: UUID
    resumes: int
    """The number of its newest execution that we know of."""
    correlation_id: str


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


def lock(connection: Connection, order_id: UUID) -> str:
    """Makes other grants for the order wait until the end of the transaction. Returns the order's correlation id.

    Raises:
        OrderNotFound: there is no such order.
    """
    order = _look(connection, order_id)
    connection.execute(_LOCK, {"order_id": order_id})
    return str(order.correlation_id)


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
    order = _look(connection, order_id)
    if order.status != OrderStatus.CONFIRMED:
        raise _not_refundable(order.status)
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


def refusal(connection: Connection, order_id: UUID) -> OrderNotRefundable | RefundExceedsCapture | None:
    """Why `grant` would refuse any refund of the order now; None if it would grant one.

    Raises:
        OrderNotFound: there is no such order.
    """
    order = _look(connection, order_id)
    if order.status != OrderStatus.CONFIRMED:
        return _not_refundable(order.status)
    row = connection.execute(_LEFT, {"order_id": order_id}).first()
    left, captured = (row.left, row.captured) if row else (0, 0)
    return None if left > 0 else RefundExceedsCapture(_what_is_left(left, captured, order.currency))


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


def find(connection: Connection, refund_id: UUID) -> Refund:
    """The refund, which is on its way or COMPLETED.

    Raises:
        RefundClosed: it is not: nothing may be done for it.
    """
    row = connection.execute(_FIND, {"refund_id": refund_id}).first()
    if row is None:
        raise RefundClosed(f"there is no refund {refund_id}")
    status = RefundStatus(row.status)
    if status not in (RefundStatus.REQUESTED, RefundStatus.COMPLETED):
        raise RefundClosed(f"the refund is {status}")
    return Refund(
        row.id, row.order_id, status, row.amount, row.restock, row.refunded_at is not None, row.provider_key
    )


def record_refunded(connection: Connection, refund_id: UUID, trace: Trace) -> bool:
    """Records, once, that the provider has given the refund's money back. False: it was recorded before."""
    row = connection.execute(_RECORD_REFUNDED, {"refund_id": refund_id}).first()
    if row is None:
        return False
    records.give_back(connection, row.order_id, row.amount)
    refunded = PaymentRefunded(amount=row.amount, currency=row.currency)
    outbox.add(connection, row.order_id, refunded, trace)
    return True


def restock(connection: Connection, refund_id: UUID) -> bool:
    """Puts the units of the refund's lines back to stock, once. False: that is not wanted, or was done before.

    Raises:
        OrderIncomplete: some line of it is not sold; roll back.
    """
    order_id: UUID | None = connection.scalar(_RECORD_RESTOCKED, {"refund_id": refund_id})
    if order_id is None:
        return False
    inventory.take_back(connection, order_id, refund_id)
    return True


def complete(connection: Connection, refund_id: UUID, trace: Trace) -> bool:
    """REQUESTED → COMPLETED, only if its money is back, and its stock if it was to be. Announces it to the webhooks of
    the order's owner and asks for the customer's message. False: it is not so."""
    parameters = {
        "refund_id": refund_id,
        "announcement_id": uuid7(),
        **notifications.request_parameters(Notification.ORDER_REFUNDED, trace, refund_id),
    }
    return connection.execute(_COMPLETE, parameters).first() is not None


def record_error(connection: Connection, refund_id: UUID, error: str) -> None:
    """Writes down why the refund is about to need review."""
    connection.execute(_RECORD_ERROR, {"refund_id": refund_id, "error": error})


def require_review(connection: Connection, refund_id: UUID, error: str) -> bool:
    """REQUESTED → NEEDS_REVIEW. `error` is a name, unless `record_error` came before. False: it is not REQUESTED."""
    parameters = {"refund_id": refund_id, "error": error}
    return connection.execute(_REQUIRE_REVIEW, parameters).first() is not None


def resume(connection: Connection, refund_id: UUID, *, looked_at: datetime) -> int:
    """NEEDS_REVIEW → REQUESTED, by an operator. Returns the number of the execution that is to go on with it.

    `looked_at` is the `updated_at` of the refund that the operator saw.

    Raises:
        RefundNotInReview: somebody else has moved it.
    """
    number: int | None = connection.scalar(_RESUME, {"refund_id": refund_id, "looked_at": looked_at})
    if number is None:
        raise RefundNotInReview("Somebody else has just moved the refund")
    return number


def reject(connection: Connection, refund_id: UUID, *, looked_at: datetime) -> None:
    """NEEDS_REVIEW → REJECTED, by an operator who knows that no money has moved. See `resume`.

    Raises:
        RefundNotInReview: somebody else has moved it.
    """
    if connection.execute(_REJECT, {"refund_id": refund_id, "looked_at": looked_at}).first() is None:
        raise RefundNotInReview("Somebody else has just moved the refund")


def claim_unmoved(connection: Connection, patience_seconds: int, limit: int) -> list[UnmovedRefund]:
    """Up to `limit` refunds that are on their way and have not moved for so long. They are touched."""
    parameters = {"patience": patience_seconds, "limit": limit}
    return [
        UnmovedRefund(row.id, row.order_id, row.resumes, row.correlation_id)
        for row in connection.execute(_CLAIM_UNMOVED, parameters)
    ]


def claim_number(connection: Connection, refund: UnmovedRefund, resumes: int) -> bool:
    """Makes `resumes` the number of the refund's next execution. False: somebody else was quicker."""
    parameters = {"refund_id": refund.refund_id, "resumes": resumes, "looked_at": refund.resumes}
    return connection.execute(_CLAIM_NUMBER, parameters).first() is not None


def _look(connection: Connection, order_id: UUID) -> Row[Any]:
    order = connection.execute(_LOOK, {"order_id": order_id}).first()
    if order is None:
        raise OrderNotFound("There is no such order")
    return order


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


def _not_refundable(status: str) -> OrderNotRefundable:
    return OrderNotRefundable(f"The order is {status}: only a CONFIRMED one can be refunded")


def _what_is_left(left: int, captured: int, currency: str) -> str:
    def money(amount: int) -> str:
        return format_money(max(amount, 0), currency, Locale.EN)

    return f"{money(left)} of the {money(captured)} that were captured can still be refunded"
