"""The steps that end the order, and tell the customer."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection

from functions.saga_steps.events import Failure
from functions.saga_steps.transaction import forward
from orders import lifecycle, notifications, saga
from orders.contract import Metric
from orders.db import Database
from orders.domain import FailureReason, Notification, OrderStatus, SagaStep
from orders.events import Trace
from orders.lifecycle import Cancelled
from orders.observability import count, logger


def send_confirmation(database: Database, order_id: UUID) -> OrderStatus:
    """Checks what the confirmation will say: that the order is paid in full and every line is sold. CompleteOrder asks
    for it in the statement that confirms the order, so that no confirmation has to be taken back.

    Raises:
        OrderIncomplete: it would not be true.
        StepFenced: the customer has been told that the order is cancelled.
    """
    forward(database, order_id, SagaStep.SEND_CONFIRMATION, lifecycle.check_complete)
    return OrderStatus.PROCESSING


def send_cancellation(
    database: Database, order_id: UUID, reason: FailureReason, trace: Trace
) -> Notification:
    """Asks for the cancellation's message, once; no confirmation can follow it by itself.

    It is one step away from the order's end, so it says nothing that the end could make untrue: that the order could
    not be completed, which is as true if it needs review.

    Raises:
        OrderAlreadyCompleted: nothing may be undone.
    """
    message = Notification.for_cancellation(reason)

    def work(connection: Connection) -> None:
        saga.close(connection, order_id, SagaStep.SEND_CANCELLATION)
        if saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION):
            notifications.request(connection, order_id, message, trace)

    database.transact(work)
    return message


def complete(database: Database, order_id: UUID, trace: Trace) -> OrderStatus:
    """Confirms the order and asks for the customer's confirmation: the point of no return.

    Raises:
        OrderIncomplete: the order is not PROCESSING, not paid in full, or some line is not sold.
        StepFenced: a compensation came first.
    """
    is_first = forward(
        database,
        order_id,
        SagaStep.COMPLETE_ORDER,
        lambda connection, order_id: lifecycle.confirm(connection, order_id, trace),
    )
    if is_first:
        count(Metric.ORDERS_CONFIRMED)
    return OrderStatus.CONFIRMED


def cancel(
    database: Database, order_id: UUID, failure: Failure, unfinished: Mapping[SagaStep, str], trace: Trace
) -> OrderStatus:
    """Ends the order: CANCELLED, or NEEDS_REVIEW if something of it could not be undone. A repeated call returns the
    status by then.

    `unfinished` are the compensations that failed for good, with their errors' names.

    Raises:
        OrderAlreadyCompleted: the order is confirmed.
    """

    def work(connection: Connection) -> Cancelled:
        saga.close(connection, order_id, SagaStep.MARK_CANCELLED)
        cancelled = lifecycle.cancel(connection, order_id, failure.reason, trace, unfinished=bool(unfinished))
        saga.record_compensation(connection, order_id, SagaStep.MARK_CANCELLED)
        return cancelled

    cancelled = database.transact(work)
    if cancelled.status is OrderStatus.NEEDS_REVIEW:
        # Counted on every call, new or not: this is what an alarm watches, and the call that made it so may have
        # been killed before its metrics were out.
        count(Metric.ORDERS_NEEDING_REVIEW)
        logger.error(
            "Order needs review",
            failed_step=failure.step,
            error=failure.error,
            unfinished=dict(unfinished),
            money_held=cancelled.money_held,
            stock_held=cancelled.stock_held,
        )
    elif cancelled.is_new:
        count(Metric.ORDERS_CANCELLED)
    return cancelled.status
