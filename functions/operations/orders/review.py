"""Orders under review: going on with one, or ending it by hand.

Only an operator moves such an order (promise I7): the transaction names them in `orders.operator`, for which the
database's trigger asks.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.operations import operator_actions
from functions.operations.operator_actions import Action, Operator
from functions.operations.orders.fitting import Books, misfits
from functions.operations.orders.models import Closed, Resumed
from functions.operations.sdk import sdk_calls
from orders import notifications, saga
from orders.db import Database
from orders.domain import FailureReason, Notification, OrderStatus, PaymentStatus, SagaStep
from orders.errors import OrderDoesNotFit, OrderNotFound, OrderNotInReview, ServiceUnavailable
from orders.executions import Executions, execution_name
from orders.observability import logger, new_traceparent
from orders.payments.gateway import GatewayStatus, PaymentGateway
from orders.trace import Trace
from orders.webhooks import announcement

REST_SECONDS: Final = 60
"""How long an order must have been under review before it is closed. A step that its execution has given up as late
has ended by then: it runs for 25 seconds at most."""
START_PATIENCE_SECONDS: Final = 45
"""How long maintenance leaves the start of the next execution to us."""

_AS_OPERATOR: Final = text("SELECT set_config('orders.operator', :operator, true)")

_LOOK: Final = text("""
    SELECT orders.status, orders.updated_at, orders.correlation_id, orders.total_amount, event.traceparent,
           coalesce(recovery.resumes, 0) AS resumes, payments.provider_key,
           CAST(ceil(extract(epoch FROM orders.updated_at - now()) + :rest_seconds) AS integer) AS rest_seconds
    FROM orders
        LEFT JOIN saga_recoveries AS recovery ON recovery.order_id = orders.id
        LEFT JOIN payments ON payments.order_id = orders.id
        LEFT JOIN outbox AS event ON event.subject = orders.id AND event.type = 'com.orders.order.created.v1'
    WHERE orders.id = :order_id
""")

# Only the order that was looked at: whoever has moved it since was quicker. The number is new, so its name is too.
_RESUME: Final = text("""
    WITH resumed AS (
        UPDATE orders SET status = 'PROCESSING', failure_reason = NULL, updated_at = now()
        WHERE id = :order_id AND status = 'NEEDS_REVIEW' AND updated_at = :looked_at
        RETURNING id
    )
    INSERT INTO saga_recoveries AS recovery (order_id, resumes, next_check_at)
    SELECT id, 1, now() + make_interval(secs => :patience) FROM resumed
    ON CONFLICT (order_id) DO UPDATE SET resumes = recovery.resumes + 1, next_check_at = excluded.next_check_at
    RETURNING resumes
""")

_BOOKS: Final = text("""
    SELECT orders.failure_reason, orders.total_amount, payments.status AS payment,
           coalesce(captured - refunded, 0) AS held,
           (SELECT count(*) FROM order_items WHERE order_id = orders.id) AS lines,
           (SELECT count(*) FROM reservations WHERE order_id = orders.id AND status = 'ACTIVE') AS reserved,
           (SELECT count(*) FROM reservations WHERE order_id = orders.id AND status = 'CONFIRMED') AS sold
    FROM orders LEFT JOIN payments ON payments.order_id = orders.id
    WHERE orders.id = :order_id AND orders.status = 'NEEDS_REVIEW' AND orders.updated_at = :looked_at
    FOR UPDATE OF orders
""")

_CLOSE: Final = text(f"""
    WITH ended AS (
        UPDATE orders SET status = :status, failure_reason = :reason, updated_at = now() WHERE id = :order_id
        RETURNING {announcement.COLUMNS}
    )
    {announcement.INSERT}
""")

# The point of no return, by hand: a compensation that comes late now finds the order confirmed. The end that
# MarkCancelled had given it is undone.
_JOURNAL_CONFIRMED: Final = text("""
    INSERT INTO saga_steps (order_id, step, status, attempts) VALUES (:order_id, 'CompleteOrder', 'SUCCEEDED', 0)
    ON CONFLICT (order_id, step) DO UPDATE SET status = 'SUCCEEDED', error = NULL
""")
_JOURNAL_NOT_CANCELLED: Final = text("""
    UPDATE saga_steps SET status = 'COMPENSATED'
    WHERE order_id = :order_id AND step = 'MarkCancelled' AND status = 'SUCCEEDED'
""")

# Answers a row if nobody has asked for the confirmation yet; a customer is told something once (promise I11).
_ASK_FOR_CONFIRMATION: Final = text("""
    INSERT INTO saga_steps (order_id, step, status) VALUES (:order_id, 'SendConfirmation', 'SUCCEEDED')
    ON CONFLICT (order_id, step) DO UPDATE SET status = 'SUCCEEDED'
    WHERE saga_steps.status NOT IN ('SUCCEEDED', 'COMPENSATED')
    RETURNING step
""")

# What a cancelled order must not be caught up by.
_FENCES: Final = (
    SagaStep.RESTORE_INVENTORY,
    SagaStep.REFUND_PAYMENT,
    SagaStep.RELEASE_RESERVATION,
    SagaStep.SEND_CANCELLATION,
)


@dataclass(frozen=True)
class Review:
    """What an operator may do to an order under review."""

    database: Database
    executions: Executions
    gateway: PaymentGateway

    def resume(self, operator: Operator, order_id: UUID) -> Resumed:
        """The order is PROCESSING again, and another execution goes on with it, from the first step: what was done
        is in the journal, and what had turned back turns back again and tries every compensation once more.

        Raises:
            OrderNotFound: there is no such order.
            OrderNotInReview: it is not under review, an execution is at work on it, or somebody else was quicker.
            ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id)

        def work(connection: Connection) -> int:
            connection.execute(_AS_OPERATOR, {"operator": operator.id})
            parameters = {
                "order_id": order_id,
                "looked_at": looked.updated_at,
                "patience": START_PATIENCE_SECONDS,
            }
            resumes: int | None = connection.scalar(_RESUME, parameters)
            if resumes is None:
                raise OrderNotInReview("Somebody else has just moved the order")
            name = execution_name(order_id, resumes)
            operator_actions.record(
                connection,
                operator,
                Action.ORDER_RESUMED,
                str(order_id),
                order_id=order_id,
                detail=f"execution={name}",
            )
            return resumes

        resumes = self.database.transact(work)
        operator_actions.report(operator, Action.ORDER_RESUMED, str(order_id))
        return Resumed(
            order_id=order_id,
            status=OrderStatus.PROCESSING,
            execution=execution_name(order_id, resumes),
            started=self._start(order_id, _trace(looked), resumes),
        )

    def close(self, operator: Operator, order_id: UUID, end: OrderStatus) -> Closed:
        """Ends the order as CONFIRMED or CANCELLED, if its money and its stock are what that needs, and tells the
        customer unless they were told so before.

        Raises:
            OrderNotFound, OrderNotInReview: as for `resume`; also for an order that has been under review for less
                than `REST_SECONDS`.
            OrderDoesNotFit: its money or its stock says something else.
            PaymentGatewayUnavailable, ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id)
        if looked.rest_seconds > 0:
            raise OrderNotInReview(
                f"A step of the order may still be running. Try again in {looked.rest_seconds} s"
            )
        trace = _trace(looked)
        # Asked now, and not in the transaction: no transaction of ours spans a call to it.
        at_gateway = self._at_gateway(looked)

        def work(connection: Connection) -> None:
            connection.execute(_AS_OPERATOR, {"operator": operator.id})
            # The journal first, as the steps do: a late one waits here, or finds what we have written.
            if end is OrderStatus.CONFIRMED:
                connection.execute(_JOURNAL_CONFIRMED, {"order_id": order_id})
            else:
                for compensation in _FENCES:
                    saga.close(connection, order_id, compensation)
            reason = _check(connection, order_id, looked, at_gateway, end)
            ending = {"order_id": order_id, "status": end, "reason": reason}
            connection.execute(_CLOSE, {**ending, **announcement.row(trace)})
            told = _tell(connection, order_id, reason, trace)
            operator_actions.record(
                connection,
                operator,
                Action.ORDER_CLOSED,
                str(order_id),
                order_id=order_id,
                detail=f"status={end} told={told or 'before'}",
            )

        self.database.transact(work)
        operator_actions.report(operator, Action.ORDER_CLOSED, str(order_id))
        return Closed(order_id=order_id, status=end)

    def _look(self, order_id: UUID) -> Row[Any]:
        """The order, which is under review, and which nobody works on."""
        parameters = {"order_id": order_id, "rest_seconds": REST_SECONDS}
        looked = self.database.transact_alone(
            lambda connection: connection.execute(_LOOK, parameters).first()
        )
        if looked is None:
            raise OrderNotFound("There is no such order")
        if looked.status != OrderStatus.NEEDS_REVIEW:
            raise OrderNotInReview(f"The order is {looked.status}")
        # MarkCancelled's own execution ends a moment after the order says NEEDS_REVIEW (promise I6).
        with sdk_calls("Step Functions"):
            status = self.executions.status(order_id, looked.resumes)
        if status.is_live:
            raise OrderNotInReview(f"An execution is at work on the order: it is {status}")
        return looked

    def _start(self, order_id: UUID, trace: Trace, resumes: int) -> bool:
        """False: it did not start, or nobody knows; maintenance looks after an order that nobody works on."""
        try:
            with sdk_calls("Step Functions"):
                return self.executions.start(order_id, trace, resumes)
        except ServiceUnavailable:
            logger.warning("The next execution is left to maintenance", order_id=str(order_id), exc_info=True)
            return False

    def _at_gateway(self, looked: Row[Any]) -> GatewayStatus | None:
        if looked.provider_key is None:
            return None
        found = self.gateway.find(looked.provider_key)
        return None if found is None else found.status


def _check(
    connection: Connection,
    order_id: UUID,
    looked: Row[Any],
    at_gateway: GatewayStatus | None,
    end: OrderStatus,
) -> FailureReason | None:
    """Locks the order and holds it against its end; answers the reason that it then has."""
    books = connection.execute(_BOOKS, {"order_id": order_id, "looked_at": looked.updated_at}).first()
    if books is None:
        raise OrderNotInReview("Somebody else has just moved the order")
    found = misfits(
        Books(
            total=books.total_amount,
            payment=None if books.payment is None else PaymentStatus(books.payment),
            held=books.held,
            at_gateway=at_gateway,
            lines=books.lines,
            reserved=books.reserved,
            sold=books.sold,
        ),
        end,
    )
    if found:
        raise OrderDoesNotFit(f"The order cannot be {end}: {'; '.join(found)}")
    return (
        None
        if end is OrderStatus.CONFIRMED
        else FailureReason(books.failure_reason or FailureReason.PROCESSING_FAILED)
    )


def _tell(
    connection: Connection, order_id: UUID, reason: FailureReason | None, trace: Trace
) -> Notification | None:
    """Asks for the customer's message, in the journal's and the outbox's words. None: they were told before."""
    if reason is None:
        connection.execute(_JOURNAL_NOT_CANCELLED, {"order_id": order_id})
        told = Notification.ORDER_CONFIRMED
        is_new = connection.execute(_ASK_FOR_CONFIRMATION, {"order_id": order_id}).first() is not None
    else:
        told = Notification.for_cancellation(reason)
        is_new = saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION)
    if not is_new:
        return None
    notifications.request(connection, order_id, told, trace)
    return told


def _trace(looked: Row[Any]) -> Trace:
    # The event may have been removed since, and its trace with it.
    return Trace(looked.correlation_id, looked.traceparent or new_traceparent())
