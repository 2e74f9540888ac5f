"""Orders under review: going on with one, or ending it by hand. Only an operator moves such an order (promise I7)."""

from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection, Row, text

from orders import closing, lifecycle, notifications, operator_actions, saga
from orders.aws import sdk_calls
from orders.closing import FindingCode
from orders.db import Database
from orders.domain import FailureReason, Notification, OrderStatus, SagaStep
from orders.errors import (
    OrderBusy,
    OrderDoesNotFit,
    OrderNotFound,
    OrderNotInReview,
    PaymentGatewayUnavailable,
    ServiceUnavailable,
)
from orders.events import Trace
from orders.executions import Executions, execution_name
from orders.http import ApiModel, ApiRequest
from orders.observability import logger
from orders.operator_actions import Action, Note, Operator
from orders.payments.gateway import GatewayStatus, PaymentGateway
from orders.tracing import current_traceparent

START_SECONDS: Final = 45
"""How long maintenance leaves the start of the next execution to us."""
_LOOK_AGAIN_SECONDS: Final = 5

_LOOK: Final = text("""
    SELECT orders.status, orders.updated_at, orders.correlation_id, event.traceparent,
           coalesce(recovery.resumes, 0) AS resumes, payments.provider_key
    FROM orders
        LEFT JOIN saga_recoveries AS recovery ON recovery.order_id = orders.id
        LEFT JOIN payments ON payments.order_id = orders.id
        LEFT JOIN outbox AS event ON event.subject = orders.id AND event.type = 'com.orders.order.created.v1'
    WHERE orders.id = :order_id
""")

# What a late step must not do to a cancelled order.
_FENCED: Final = (
    SagaStep.RESTORE_INVENTORY,
    SagaStep.REFUND_PAYMENT,
    SagaStep.RELEASE_RESERVATION,
    SagaStep.SEND_CANCELLATION,
)


class Closing(ApiRequest):
    """How an order under review ends."""

    status: Literal["CONFIRMED", "CANCELLED"]
    note: Note


class Resumed(ApiModel):
    order_id: UUID
    status: OrderStatus
    execution: str = Field(description="The name of the execution that goes on with it")
    started: bool = Field(description="false: maintenance starts it, within two minutes")


class Closed(ApiModel):
    order_id: UUID
    status: OrderStatus


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
            OrderNotInReview: it is not under review, or somebody else was quicker.
            OrderBusy: an execution is at work on it.
            ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id)

        def work(connection: Connection) -> int:
            resumes = lifecycle.resume(
                connection,
                order_id,
                operator=operator.id,
                looked_at=looked.updated_at,
                start_seconds=START_SECONDS,
            )
            operator_actions.record(
                connection,
                operator,
                Action.ORDER_RESUMED,
                str(order_id),
                order_id=order_id,
                detail=f"execution={execution_name(order_id, resumes)}",
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
            OrderNotFound, OrderNotInReview, OrderBusy: as for `resume`.
            OrderBusy: also for an order that has been under review for less than `closing.REST_SECONDS`.
            OrderDoesNotFit: its money or its stock says something else.
            PaymentGatewayUnavailable, ServiceUnavailable, DatabaseUnavailable: nothing was changed; try again.
        """
        looked = self._look(order_id)
        trace = _trace(looked)
        at_gateway = self._check_closing(looked, order_id, end)

        def work(connection: Connection) -> None:
            # The journal first, as the steps do: a late one waits here, or finds what we have written.
            if end is OrderStatus.CONFIRMED:
                saga.complete_by_operator(connection, order_id)
            else:
                saga.close(connection, order_id, *_FENCED)
            reason = lifecycle.close(
                connection,
                order_id,
                end,
                trace,
                operator=operator.id,
                looked_at=looked.updated_at,
                at_gateway=at_gateway,
            )
            message = _request_message(connection, order_id, reason, trace)
            operator_actions.record(
                connection,
                operator,
                Action.ORDER_CLOSED,
                str(order_id),
                order_id=order_id,
                detail=f"status={end} told={message or 'before'}",
            )

        self.database.transact(work)
        operator_actions.report(operator, Action.ORDER_CLOSED, str(order_id))
        return Closed(order_id=order_id, status=end)

    def _look(self, order_id: UUID) -> Row[Any]:
        """The order, which is under review, and which nobody works on."""
        looked = self.database.transact_alone(
            lambda connection: connection.execute(_LOOK, {"order_id": order_id}).first()
        )
        if looked is None:
            raise OrderNotFound("There is no such order")
        if looked.status != OrderStatus.NEEDS_REVIEW:
            raise OrderNotInReview(f"The order is {looked.status}")
        # MarkCancelled's own execution ends a moment after the order says NEEDS_REVIEW (promise I6).
        with sdk_calls("Step Functions"):
            status = self.executions.status(order_id, looked.resumes)
        if status.is_live:
            raise OrderBusy(f"An execution is at work on the order: it is {status}", _LOOK_AGAIN_SECONDS)
        return looked

    def _start(self, order_id: UUID, trace: Trace, resumes: int) -> bool:
        """False: it did not start, or nobody knows; maintenance looks after an order that nobody works on."""
        try:
            with sdk_calls("Step Functions"):
                return self.executions.start(order_id, trace, resumes)
        except ServiceUnavailable:
            logger.warning("The next execution is left to maintenance", order_id=str(order_id), exc_info=True)
            return False

    def _check_closing(self, looked: Row[Any], order_id: UUID, end: OrderStatus) -> GatewayStatus | None:
        """Refuses with every reason that there is, before anything is locked; returns the gateway's record."""
        at_gateway, silence = None, None
        # Asked now, and not in the transaction: no transaction of ours spans a call to it.
        if looked.provider_key is not None:
            try:
                found = self.gateway.find(looked.provider_key)
                at_gateway = None if found is None else found.status
            except PaymentGatewayUnavailable as error:
                silence = error
        balance = self.database.transact_alone(
            lambda connection: lifecycle.read_balance(
                connection, order_id, at_gateway=at_gateway, gateway_answers=silence is None
            )
        )
        findings = closing.find(balance)
        blocking = {finding.code: finding for finding in closing.blocking(findings, end)}
        rest = blocking.pop(FindingCode.STEP_MAY_RUN, None)
        if blocking.keys() - {FindingCode.GATEWAY_UNAVAILABLE}:
            raise OrderDoesNotFit(closing.refusal(findings, end))
        if silence:
            raise silence
        if rest:
            raise OrderBusy(closing.refusal([rest], end), rest.seconds or 0)
        return at_gateway


def _request_message(
    connection: Connection, order_id: UUID, reason: FailureReason | None, trace: Trace
) -> Notification | None:
    """Sees to it that the customer is told of the end, once; returns the message. None: they were told before."""
    if reason is None:
        # The statement that confirmed the order has asked for it.
        return Notification.ORDER_CONFIRMED
    if not saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION):
        return None
    message = Notification.for_cancellation(reason)
    notifications.request(connection, order_id, message, trace)
    return message


def _trace(looked: Row[Any]) -> Trace:
    # The event may have been removed since, and its trace with it.
    return Trace(looked.correlation_id, looked.traceparent or current_traceparent())
