"""Orders that nobody works on any more: never started, or their execution failed, timed out, was stopped or is lost.

They are resumed from the saga's first step. Every step that was taken is in the journal and is not taken again; a saga
that had turned back turns back again at once, and undoes what is left to undo.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from functions.maintenance.deadline import ORDER_SECONDS, TRANSACTION_SECONDS, Deadline
from orders import lifecycle, repairs
from orders.contract import Metric
from orders.db import Database
from orders.events import Trace
from orders.executions import Executions, ExecutionStatus, execution_name
from orders.observability import count, logger
from orders.repairs import Repair
from orders.tracing import current_traceparent, trace_id

PATIENCE_SECONDS: Final = 30
"""How long an order may stay as it is, or its published event unanswered, before somebody looks."""
CHECK_INTERVAL_SECONDS: Final = 45
"""Between two looks at one order. With the patience, and a round a minute, a dead saga is resumed in two minutes."""
BATCH_SIZE: Final = 50
MAX_RESUMES: Final = 20
"""Executions that ended badly before an operator is asked."""

# What is claimed is not looked at again before the interval is over, by this round or another. An event that was not
# published yet has its relay, and one that was published a moment ago its consumer. The CASE is the condition of
# `orders_unfinished`.
_CLAIM: Final = text("""
    WITH due AS (
        SELECT orders.id
        FROM orders LEFT JOIN saga_recoveries AS recovery ON recovery.order_id = orders.id
        WHERE CASE WHEN orders.status IN ('PENDING', 'PROCESSING') THEN true ELSE false END
          AND orders.updated_at < now() - make_interval(secs => :patience)
          AND (recovery.next_check_at IS NULL OR recovery.next_check_at <= now())
          AND (orders.status = 'PROCESSING' OR NOT EXISTS (
              SELECT FROM outbox
              WHERE subject = orders.id AND type = 'com.orders.order.created.v1'
                AND (outbox.status = 'PENDING' OR published_at > now() - make_interval(secs => :patience))
          ))
        ORDER BY orders.updated_at
        LIMIT :limit
    ), claimed AS (
        INSERT INTO saga_recoveries AS recovery (order_id, next_check_at)
        SELECT id, now() + make_interval(secs => :interval) FROM due
        ON CONFLICT (order_id) DO UPDATE SET next_check_at = excluded.next_check_at
        WHERE recovery.next_check_at <= now()
        RETURNING order_id, resumes
    )
    SELECT claimed.order_id, claimed.resumes, orders.correlation_id, event.traceparent
    FROM claimed JOIN orders ON orders.id = claimed.order_id
        LEFT JOIN outbox AS event ON event.subject = claimed.order_id AND event.type = 'com.orders.order.created.v1'
""")

# Only over the number that was looked at, and only while the order is on its way: the claim of the execution's name.
_CLAIM_NUMBER: Final = text("""
    UPDATE saga_recoveries SET resumes = :resumes
    FROM orders
    WHERE order_id = :order_id AND resumes = :looked_at
      AND orders.id = order_id AND orders.status IN ('PENDING', 'PROCESSING')
    RETURNING order_id
""")


@dataclass(frozen=True)
class _Order:
    """An order that has not moved for a while, and the number of its newest execution that we know of."""

    order_id: UUID
    resumes: int
    trace: Trace


class StuckOrders:
    """One look through all orders that have not moved."""

    def __init__(self, database: Database, executions: Callable[[], Executions], deadline: Deadline) -> None:
        self._database = database
        self._connect = executions
        self._deadline = deadline

    def resume(self) -> int:
        """Resumes those whose execution is over or gone; returns how many.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: Step Functions did not answer.
            DatabaseUnavailable: try again.
        """
        resumed = 0
        live: set[UUID] | None = None
        while self._deadline.allows(TRANSACTION_SECONDS + ORDER_SECONDS):
            orders = self._claim()
            if orders and live is None:
                # One call for a thousand executions: in a storm or an outage most orders are merely slow.
                live = self._executions.live(self._may_go_on)
            for order in orders:
                if order.order_id not in (live or ()) and self._may_go_on():
                    resumed += self._resume(order)
            if len(orders) < BATCH_SIZE:
                break
        return resumed

    @property
    def _executions(self) -> Executions:
        return self._connect()

    def _may_go_on(self) -> bool:
        return self._deadline.allows(ORDER_SECONDS)

    def _claim(self) -> list[_Order]:
        parameters = {
            "patience": PATIENCE_SECONDS,
            "interval": CHECK_INTERVAL_SECONDS,
            "limit": BATCH_SIZE,
        }

        def work(connection: Connection) -> list[_Order]:
            return [
                _Order(
                    row.order_id,
                    row.resumes,
                    # The event may have been removed since, and its trace with it.
                    Trace(row.correlation_id, row.traceparent or current_traceparent()),
                )
                for row in connection.execute(_CLAIM, parameters)
            ]

        return self._database.transact_alone(work)

    def _resume(self, order: _Order) -> bool:
        """Starts another execution if no other one is alive (promise I6). True: it did."""
        replacement = self._executions.find_replacement(order.order_id, order.resumes)
        if replacement is None:
            return False
        status, resumes = replacement
        if resumes > MAX_RESUMES:
            self._give_up(order, status)
            return False
        return self._claim_number(order, resumes, status) and self._start(order, resumes, status)

    def _claim_number(self, order: _Order, resumes: int, status: ExecutionStatus) -> bool:
        """Writes the repair down before it is made: the number is ours then, whoever else is looking."""

        def work(connection: Connection) -> bool:
            parameters = {"order_id": order.order_id, "resumes": resumes, "looked_at": order.resumes}
            if connection.execute(_CLAIM_NUMBER, parameters).first() is None:
                return False
            details = {"execution": execution_name(order.order_id, resumes), "instead_of": status}
            repairs.record(connection, Repair.SAGA_RESUMED, order.order_id, details)
            return True

        return self._database.transact(work)

    def _start(self, order: _Order, resumes: int, status: ExecutionStatus) -> bool:
        if not self._executions.start(order.order_id, order.trace, resumes):
            return False
        count(Metric.SAGAS_RESUMED)
        logger.warning(
            "Saga resumed",
            order_id=str(order.order_id),
            correlation_id=order.trace.correlation_id,
            trace_id=trace_id(order.trace.traceparent),
            execution=execution_name(order.order_id, resumes),
            instead_of=status,
        )
        return True

    def _give_up(self, order: _Order, status: ExecutionStatus) -> None:
        def work(connection: Connection) -> bool:
            if not lifecycle.require_review(connection, order.order_id, order.trace):
                return False
            details = {"executions": order.resumes + 1, "last": status}
            repairs.record(connection, Repair.ORDER_GIVEN_UP, order.order_id, details)
            return True

        if self._database.transact(work):
            count(Metric.ORDERS_NEEDING_REVIEW)
            logger.error(
                "Order needs review: resuming it does not help",
                order_id=str(order.order_id),
                correlation_id=order.trace.correlation_id,
                trace_id=trace_id(order.trace.traceparent),
                instead_of=status,
            )
