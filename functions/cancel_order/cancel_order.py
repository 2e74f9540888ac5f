"""The use case: an order is cancelled at whatever point it is, in one transaction, once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders import cancellations, operator_actions, refunds, saga
from orders.cancellations import CancellationState
from orders.db import Database
from orders.domain import OrderStatus, RefundOrigin
from orders.errors import (
    CancellationRequested,
    OrderAlreadyCompleted,
    OrderAlreadyRefunded,
    OrderNotFound,
    RefundExceedsCapture,
    ServiceUnavailable,
)
from orders.events import Trace
from orders.observability import log_failure
from orders.operator_actions import Action, Operator
from orders.payments import actions

REFUND_REASON: Final = "Cancelled by the customer"
OPERATORS_REFUND_REASON: Final = "Cancelled by an operator"

# Whose order it is belongs into the question, as for the reads.
_LOOK: Final = text(f"""
    SELECT orders.status, orders.failure_reason, orders.user_id = :user_id AS is_own, {cancellations.COLUMNS}
    FROM orders {cancellations.JOIN}
    WHERE orders.id = :order_id AND (orders.user_id = :user_id OR CAST(:is_administrator AS boolean))
""")


@dataclass(frozen=True)
class CancellationRequest:
    """Who wants which order to be cancelled."""

    order_id: UUID
    user_id: str
    is_administrator: bool
    """They may cancel any order."""
    window_minutes: int
    """How long after its confirmation an order may be cancelled."""
    trace: Trace
    note: str | None = None
    """Why an administrator cancels another user's order."""

    @property
    def operator(self) -> Operator:
        return Operator(self.user_id, self.note or "", self.trace.traceparent)


@dataclass(frozen=True)
class _Looked:
    state: CancellationState
    is_own: bool
    """The order is of the user who wants it to be cancelled."""


@dataclass(frozen=True)
class _Done:
    state: CancellationState
    by_operator: bool = False
    """An operator has done it, just now."""


def cancel_order(
    database: Database, wake: Callable[[str], object], request: CancellationRequest
) -> CancellationState:
    """Cancels the order at its next step, or refunds all that is left of it if it was confirmed a moment ago. A
    repeated call changes nothing and returns what the first one came to. `wake` gets the token of an execution that
    waits for the customer.

    Raises:
        OrderNotFound: there is none, or it is another user's.
        CancellationClosed: it was confirmed too long ago.
        OrderAlreadyRefunded: it is confirmed, and nothing of it is left to be refunded.
        OrderAlreadyCancelled: for another reason.
        OrderInReview: an operator decides how it ends.
        DatabaseUnavailable: nobody knows whether it was done; the same request may be sent again.
    """
    done, token = database.transact(lambda connection: _cancel(connection, request))
    if done.by_operator:
        operator_actions.report(
            request.operator, Action.ORDER_CANCELLED, str(request.order_id), request.order_id
        )
    if token is not None:
        try:
            wake(token)
        except ServiceUnavailable as error:
            # It looks by itself in a few minutes.
            log_failure("The execution was not woken", error)
    return done.state


def _cancel(connection: Connection, request: CancellationRequest) -> tuple[_Done, str | None]:
    """Also the token of an execution that may be waiting. For a repeated request, too: the one before may have died
    before it could wake anybody."""
    done = _take_effect(connection, request)
    is_under_way = done.state.status is OrderStatus.PROCESSING
    return done, actions.end(connection, request.order_id) if is_under_way else None


def _take_effect(connection: Connection, request: CancellationRequest) -> _Done:
    # What was looked at may have moved on when its turn comes. It moves in one direction, so this ends.
    while True:
        looked = _look(connection, request)
        if looked.state.requested_at is not None:
            return _Done(looked.state)
        if looked.state.status is OrderStatus.CONFIRMED:
            cancelled = _refund(connection, request, looked)
        else:
            cancelled = _turn_back(connection, request, looked.state)
        if cancelled is None:
            continue
        if not looked.is_own:
            operator_actions.record(
                connection,
                request.operator,
                Action.ORDER_CANCELLED,
                str(request.order_id),
                order_id=request.order_id,
                detail=str(cancelled.outcome),
            )
        return _Done(cancelled, by_operator=not looked.is_own)


def _look(connection: Connection, request: CancellationRequest) -> _Looked:
    row = connection.execute(
        _LOOK,
        {
            "order_id": request.order_id,
            "user_id": request.user_id,
            "is_administrator": request.is_administrator,
            "cancellation_window_minutes": request.window_minutes,
        },
    ).first()
    if row is None:
        raise OrderNotFound("You have no such order")
    state = CancellationState.of(row)
    refused = state.refusal(row.failure_reason)
    if refused is not None:
        raise refused
    return _Looked(state, row.is_own)


def _turn_back(
    connection: Connection, request: CancellationRequest, looked: CancellationState
) -> CancellationState | None:
    """None: the order has ended meanwhile, or was cancelled by another request."""
    try:
        # The row that CompleteOrder and MarkCancelled need as well: until this commits the order does not end.
        saga.turn_back(connection, request.order_id, CancellationRequested.__name__)
    except OrderAlreadyCompleted:
        return None
    requested_at = cancellations.record(connection, request.order_id, request.user_id)
    return None if requested_at is None else replace(looked, requested_at=requested_at)


def _refund(
    connection: Connection, request: CancellationRequest, looked: _Looked
) -> CancellationState | None:
    """None: another request was quicker."""
    requested_at = cancellations.record_for_refund(connection, request.order_id, request.user_id)
    if requested_at is None:
        return None
    try:
        granted = refunds.grant(
            connection,
            request.order_id,
            origin=RefundOrigin.CUSTOMER,
            requested_by=request.user_id,
            reason=REFUND_REASON if looked.is_own else OPERATORS_REFUND_REASON,
            amount=None,
            lines={},
            restock=True,
            trace=request.trace,
        )
    except RefundExceedsCapture as error:
        raise OrderAlreadyRefunded("All that was paid for the order is refunded already") from error
    cancellations.set_refund(connection, request.order_id, granted.refund_id)
    return replace(looked.state, requested_at=requested_at, refund_id=granted.refund_id)
