"""The steps that move the order itself: to PROCESSING, and from there to where it ends."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.saga_steps.events import Failure
from functions.saga_steps.transaction import forward
from orders import saga
from orders.contract import Metric
from orders.db import Database
from orders.domain import OrderStatus, SagaStep
from orders.errors import OrderIncomplete
from orders.observability import count, logger
from orders.trace import Trace
from orders.webhooks import announcement

_START: Final = text("""
    UPDATE orders SET status = 'PROCESSING', updated_at = now() WHERE id = :order_id AND status = 'PENDING'
""")

# Promise I3, and that a confirmed order's stock is sold, are asked of the tables and not of the journal.
_CONFIRM: Final = text(f"""
    WITH ended AS (
        UPDATE orders SET status = 'CONFIRMED', updated_at = now()
        WHERE id = :order_id AND status = 'PROCESSING'
          AND total_amount = (SELECT captured - refunded FROM payments WHERE order_id = :order_id)
          AND NOT EXISTS (
              SELECT product_id, quantity FROM order_items WHERE order_id = :order_id
              EXCEPT
              SELECT product_id, quantity FROM reservations WHERE order_id = :order_id AND status = 'CONFIRMED'
          )
        RETURNING {announcement.COLUMNS}
    ), announced AS ({announcement.INSERT})
    SELECT id FROM ended
""")

# PENDING and UNKNOWN payments count as money held: nobody has found out yet.
_CANCEL: Final = text(f"""
    WITH held AS (
        SELECT
            EXISTS (SELECT FROM payments WHERE order_id = :order_id
                    AND (captured <> refunded OR status IN ('PENDING', 'UNKNOWN'))) AS money,
            EXISTS (SELECT FROM reservations WHERE order_id = :order_id
                    AND status IN ('ACTIVE', 'CONFIRMED')) AS stock
    ), ended AS (
        UPDATE orders
        SET status = CASE WHEN CAST(:unfinished AS boolean) OR money OR stock THEN 'NEEDS_REVIEW' ELSE 'CANCELLED' END,
            failure_reason = CAST(:reason AS text), updated_at = now()
        FROM held WHERE id = :order_id AND status = 'PROCESSING'
        RETURNING {announcement.COLUMNS}
    ), announced AS ({announcement.INSERT})
    SELECT coalesce(ended.status, orders.status) AS status, ended.status IS NOT NULL AS is_new,
           held.money, held.stock
    FROM held CROSS JOIN orders LEFT JOIN ended ON true
    WHERE orders.id = :order_id
""")


def start(connection: Connection, order_id: UUID) -> None:
    """PENDING becomes PROCESSING, in the caller's transaction; any other status stays."""
    connection.execute(_START, {"order_id": order_id})


def complete(database: Database, order_id: UUID, trace: Trace) -> OrderStatus:
    """Confirms the order: the point of no return.

    Raises:
        OrderIncomplete: the order is not PROCESSING, not paid in full, or some line is not sold.
        StepFenced: a compensation came first.
    """

    def effect(connection: Connection) -> None:
        if connection.execute(_CONFIRM, {"order_id": order_id, **announcement.row(trace)}).first() is None:
            raise OrderIncomplete(
                "the order is not being processed, not paid in full, or not all of it is sold"
            )

    if forward(database, order_id, SagaStep.COMPLETE_ORDER, effect):
        count(Metric.ORDERS_CONFIRMED)
    return OrderStatus.CONFIRMED


def cancel(
    database: Database, order_id: UUID, failure: Failure, unfinished: Mapping[SagaStep, str], trace: Trace
) -> OrderStatus:
    """Ends the order: CANCELLED, or NEEDS_REVIEW if something of it could not be undone. A repeated call answers
    what stands by then.

    `unfinished` are the compensations that failed for good, with their errors' names.

    Raises:
        OrderAlreadyCompleted: the order is confirmed.
    """
    parameters = {
        "order_id": order_id,
        "reason": failure.reason,
        "unfinished": bool(unfinished),
        **announcement.row(trace),
    }

    def work(connection: Connection) -> Row[Any]:
        saga.close(connection, order_id, SagaStep.MARK_CANCELLED)
        ended = connection.execute(_CANCEL, parameters).one()
        if ended.status == OrderStatus.PENDING:
            # VerifyStock never got as far as to start it.
            start(connection, order_id)
            ended = connection.execute(_CANCEL, parameters).one()
        saga.record_compensation(connection, order_id, SagaStep.MARK_CANCELLED)
        return ended

    ended = database.transact(work)
    status = OrderStatus(ended.status)
    if status is OrderStatus.NEEDS_REVIEW:
        # Counted on every call, new or not: this is what an alarm watches, and the call that made it so may have
        # been killed before its metrics were out.
        count(Metric.ORDERS_NEEDING_REVIEW)
        logger.error(
            "Order needs review",
            failed_step=failure.step,
            error=failure.error,
            unfinished=dict(unfinished),
            money_held=ended.money,
            stock_held=ended.stock,
        )
    elif ended.is_new:
        count(Metric.ORDERS_CANCELLED)
    return status
