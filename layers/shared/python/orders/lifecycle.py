"""An order's lifecycle: every change of its status after it was placed. No other module writes `orders.status`.

    PENDING ─ begin ─▶ PROCESSING ─ confirm ─▶ CONFIRMED
                           │ ─ cancel ─▶ CANCELLED, or NEEDS_REVIEW if something could not be undone
                           │ ─ require_review ─▶ NEEDS_REVIEW
                           ◀─ resume ─ NEEDS_REVIEW ─ close ─▶ CONFIRMED or CANCELLED      (by an operator)

A trigger on `orders` refuses every other change (promise I7). The statement that ends an order also writes what has to
be announced of it: an event for its owner's webhooks, if the owner has an enabled endpoint, and for a confirmed order
the customer's confirmation. So every end is announced, and nothing is announced that has not happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from orders import closing, notifications
from orders.closing import Balance, HeldLine
from orders.domain import FailureReason, Notification, OrderStatus, PaymentStatus, ReservationStatus
from orders.errors import OrderDoesNotFit, OrderIncomplete, OrderNotInReview
from orders.events import OrderCancelled, OrderConfirmed, OrderReviewRequired, Trace
from orders.ids import uuid7
from orders.order_lines import PRODUCT_NAME
from orders.payments import records
from orders.payments.gateway import GatewayStatus

# Most users have no endpoint: their orders then cost a look at an index instead of an outbox row, a message and an
# invocation each.
_ANNOUNCED: Final = f"""
    announced AS (
        INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
        SELECT :announcement_id,
               CASE ended.status WHEN 'CONFIRMED' THEN '{OrderConfirmed.type}'
                                 WHEN 'CANCELLED' THEN '{OrderCancelled.type}'
                                 ELSE '{OrderReviewRequired.type}' END,
               ended.id,
               jsonb_build_object(
                   'failureReason', ended.failure_reason, 'totalAmount', ended.total_amount,
                   'currency', ended.currency, 'createdAt', ended.created_at
               ),
               :correlation_id, :traceparent
        FROM ended
        WHERE EXISTS (
            SELECT FROM webhook_endpoints AS endpoint
            WHERE endpoint.user_id = ended.user_id AND endpoint.status = 'ENABLED'
        )
    ), {notifications.request_parts("SELECT id, contact_phone FROM ended WHERE status = 'CONFIRMED'")}
"""


def _end(change: str, result: str, before: str = "") -> TextClause:
    """A statement that ends an order by `change`, an UPDATE of `orders`, and announces its end. `ended` is the order as
    it is then, if this statement has ended it. `_announcing` gives the parameters of the announcement."""
    return text(f"""
        WITH {before} ended AS (
            {change}
            RETURNING orders.id, orders.user_id, orders.status, orders.failure_reason, orders.total_amount,
                      orders.currency, orders.created_at, orders.contact_phone
        ), {_ANNOUNCED}
        {result}
    """)


def _announcing(trace: Trace) -> dict[str, Any]:
    return {
        "announcement_id": uuid7(),
        **notifications.request_parameters(Notification.ORDER_CONFIRMED, trace),
    }


_BEGIN: Final = text("""
    UPDATE orders SET status = 'PROCESSING', updated_at = now() WHERE id = :order_id AND status = 'PENDING'
""")

# Promise I3, and that a confirmed order's stock is sold, are asked of the tables and not of the journal.
_IS_COMPLETE: Final = f"""
    orders.status = 'PROCESSING'
    AND total_amount = {records.held(":order_id")}
    AND NOT EXISTS (
        SELECT product_id, quantity FROM order_items WHERE order_id = :order_id
        EXCEPT
        SELECT product_id, quantity FROM reservations WHERE order_id = :order_id AND status = 'CONFIRMED'
    )
"""
_CHECK: Final = text(f"SELECT id FROM orders WHERE id = :order_id AND {_IS_COMPLETE}")
_CONFIRM: Final = _end(
    f"UPDATE orders SET status = 'CONFIRMED', updated_at = now() WHERE id = :order_id AND {_IS_COMPLETE}",
    "SELECT id FROM ended",
)

_CANCEL: Final = _end(
    """
    UPDATE orders
    SET status = CASE WHEN CAST(:unfinished AS boolean) OR money OR stock THEN 'NEEDS_REVIEW' ELSE 'CANCELLED' END,
        failure_reason = CAST(:reason AS text), updated_at = now()
    FROM held WHERE id = :order_id AND status = 'PROCESSING'
    """,
    """
    SELECT coalesce(ended.status, orders.status) AS status, ended.status IS NOT NULL AS is_new, held.money, held.stock
    FROM held CROSS JOIN orders LEFT JOIN ended ON true
    WHERE orders.id = :order_id
    """,
    before=f"""
    held AS (
        SELECT {records.may_hold_money(":order_id")} AS money,
               EXISTS (SELECT FROM reservations WHERE order_id = :order_id
                       AND status IN ('ACTIVE', 'CONFIRMED')) AS stock
    ),
    """,
)

_REQUIRE_REVIEW: Final = _end(
    """
    UPDATE orders
    SET status = 'NEEDS_REVIEW', failure_reason = coalesce(failure_reason, 'PROCESSING_FAILED'), updated_at = now()
    WHERE id = :order_id AND status = 'PROCESSING'
    """,
    "SELECT id FROM ended",
)

# What the trigger asks for before an order under review changes.
_AS_OPERATOR: Final = text("SELECT set_config('orders.operator', :operator, true)")

# Only the order that was looked at: whoever has moved it since was quicker. The number is new, so its name is too.
_RESUME: Final = text("""
    WITH resumed AS (
        UPDATE orders SET status = 'PROCESSING', failure_reason = NULL, updated_at = now()
        WHERE id = :order_id AND status = 'NEEDS_REVIEW' AND updated_at = :looked_at
        RETURNING id
    )
    INSERT INTO saga_recoveries AS recovery (order_id, resumes, next_check_at)
    SELECT id, 1, now() + make_interval(secs => :start_seconds) FROM resumed
    ON CONFLICT (order_id) DO UPDATE SET resumes = recovery.resumes + 1, next_check_at = excluded.next_check_at
    RETURNING resumes
""")


def _lines_in(status: ReservationStatus) -> str:
    return f"""(
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_array(item.product_id, {PRODUCT_NAME}, held.quantity) ORDER BY item.line_no
            ), '[]'
        )
        FROM reservations AS held JOIN order_items AS item USING (order_id, product_id)
        WHERE held.order_id = orders.id AND held.status = '{status}'
    )"""


_HELD: Final = f"""
    SELECT orders.failure_reason, orders.total_amount, orders.currency,
           CAST(extract(epoch FROM now() - orders.updated_at) AS float8) AS seconds_in_review,
           (SELECT status FROM payments WHERE order_id = orders.id) AS payment,
           coalesce((SELECT captured FROM payments WHERE order_id = orders.id), 0) AS captured,
           coalesce((SELECT refunded FROM payments WHERE order_id = orders.id), 0) AS refunded,
           (SELECT count(*) FROM order_items WHERE order_id = orders.id) AS lines,
           {_lines_in(ReservationStatus.ACTIVE)} AS reserved,
           {_lines_in(ReservationStatus.CONFIRMED)} AS sold
    FROM orders
"""
_READ_BALANCE: Final = text(f"{_HELD} WHERE orders.id = :order_id")
_BALANCE: Final = text(f"""
    {_HELD}
    WHERE orders.id = :order_id AND orders.status = 'NEEDS_REVIEW' AND orders.updated_at = :looked_at
    FOR UPDATE
""")
_CLOSE: Final = _end(
    "UPDATE orders SET status = :status, failure_reason = :reason, updated_at = now() WHERE id = :order_id",
    "SELECT FROM ended",
)


@dataclass(frozen=True)
class Cancelled:
    """An order as `cancel` leaves it."""

    status: OrderStatus
    is_new: bool
    """This call has ended it."""
    money_held: bool
    stock_held: bool


def begin(connection: Connection, order_id: UUID) -> None:
    """PENDING → PROCESSING; any other status stays. Nothing is announced."""
    connection.execute(_BEGIN, {"order_id": order_id})


def check_complete(connection: Connection, order_id: UUID) -> None:
    """Checks that `confirm` would confirm the order. It changes nothing.

    Raises:
        OrderIncomplete: the order is not PROCESSING, not paid in full, or some line is not sold.
    """
    _require_complete(connection.execute(_CHECK, {"order_id": order_id}).first() is not None)


def confirm(connection: Connection, order_id: UUID, trace: Trace) -> None:
    """PROCESSING → CONFIRMED, only if the order is paid in full and every line is sold. Announces it to the owner's
    webhooks and asks for the customer's confirmation.

    Raises:
        OrderIncomplete: the order is not PROCESSING, not paid in full, or some line is not sold.
    """
    parameters = {"order_id": order_id, **_announcing(trace)}
    _require_complete(connection.execute(_CONFIRM, parameters).first() is not None)


def cancel(
    connection: Connection, order_id: UUID, reason: FailureReason, trace: Trace, *, unfinished: bool
) -> Cancelled:
    """PROCESSING → CANCELLED, or NEEDS_REVIEW if money or stock is still held, also perhaps, or compensations are
    `unfinished`. A PENDING order begins first; an order that has ended stays as it is. Announces the end to the owner's
    webhooks; the customer's message is the saga's."""
    parameters = {"order_id": order_id, "reason": reason, "unfinished": unfinished, **_announcing(trace)}
    row = connection.execute(_CANCEL, parameters).one()
    if row.status == OrderStatus.PENDING:
        # VerifyStock never got as far as to begin it.
        begin(connection, order_id)
        row = connection.execute(_CANCEL, parameters).one()
    return Cancelled(OrderStatus(row.status), row.is_new, money_held=row.money, stock_held=row.stock)


def require_review(connection: Connection, order_id: UUID, trace: Trace) -> bool:
    """PROCESSING → NEEDS_REVIEW; a PENDING order begins first. Announces it to the owner's webhooks. False: the order
    had ended before."""
    begin(connection, order_id)
    parameters = {"order_id": order_id, **_announcing(trace)}
    return connection.execute(_REQUIRE_REVIEW, parameters).first() is not None


def resume(
    connection: Connection, order_id: UUID, *, operator: str, looked_at: datetime, start_seconds: int
) -> int:
    """NEEDS_REVIEW → PROCESSING, by an operator. Nothing is announced. Returns the number of the execution that is to
    go on with the order; maintenance leaves its start to the caller for `start_seconds`.

    `looked_at` is the `updated_at` of the order that the operator saw.

    Raises:
        OrderNotInReview: somebody else has moved the order.
    """
    connection.execute(_AS_OPERATOR, {"operator": operator})
    parameters = {"order_id": order_id, "looked_at": looked_at, "start_seconds": start_seconds}
    number: int | None = connection.scalar(_RESUME, parameters)
    if number is None:
        raise OrderNotInReview("Somebody else has just moved the order")
    return number


def close(
    connection: Connection,
    order_id: UUID,
    end: OrderStatus,
    trace: Trace,
    *,
    operator: str,
    looked_at: datetime,
    at_gateway: GatewayStatus | None,
) -> FailureReason | None:
    """NEEDS_REVIEW → CONFIRMED or CANCELLED, by an operator, only if nothing blocks that end (`orders.closing`).
    Announces the end to the owner's webhooks; for CONFIRMED it asks for the customer's confirmation, unless that was
    asked for before. Returns the order's failure reason.

    `looked_at` is the `updated_at` of the order that the operator saw, `at_gateway` the gateway's record of its money.

    Raises:
        OrderNotInReview: somebody else has moved the order.
        OrderDoesNotFit: its money or its stock is not what that end needs.
    """
    connection.execute(_AS_OPERATOR, {"operator": operator})
    row = connection.execute(_BALANCE, {"order_id": order_id, "looked_at": looked_at}).first()
    if row is None:
        raise OrderNotInReview("Somebody else has just moved the order")
    findings = closing.find(_balance(row, at_gateway))
    if closing.blocking(findings, end):
        raise OrderDoesNotFit(closing.refusal(findings, end))
    reason = None
    if end is OrderStatus.CANCELLED:
        reason = FailureReason(row.failure_reason or FailureReason.PROCESSING_FAILED)
    connection.execute(_CLOSE, {"order_id": order_id, "status": end, "reason": reason, **_announcing(trace)})
    return reason


def read_balance(
    connection: Connection, order_id: UUID, *, at_gateway: GatewayStatus | None, gateway_answers: bool
) -> Balance:
    """What is held of the order, which exists. `at_gateway` is the gateway's record of its money, if it answers."""
    row = connection.execute(_READ_BALANCE, {"order_id": order_id}).one()
    return _balance(row, at_gateway, gateway_answers=gateway_answers)


def _balance(row: Row[Any], at_gateway: GatewayStatus | None, *, gateway_answers: bool = True) -> Balance:
    return Balance(
        total=row.total_amount,
        currency=row.currency,
        lines=row.lines,
        reserved=_held_lines(row.reserved),
        sold=_held_lines(row.sold),
        payment=None if row.payment is None else PaymentStatus(row.payment),
        captured=row.captured,
        refunded=row.refunded,
        at_gateway=at_gateway,
        gateway_answers=gateway_answers,
        seconds_in_review=row.seconds_in_review,
    )


def _held_lines(lines: Sequence[Sequence[Any]]) -> list[HeldLine]:
    return [HeldLine(UUID(product_id), name, quantity) for product_id, name, quantity in lines]


def _require_complete(is_complete: bool) -> None:
    if not is_complete:
        raise OrderIncomplete("the order is not being processed, not paid in full, or not all of it is sold")
