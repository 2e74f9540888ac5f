"""What the tests of cancellations share."""

from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from functions.cancel_order.cancel_order import CancellationRequest, cancel_order
from orders.cancellations import CancellationState
from orders.db import Database
from orders.payments import actions
from tests.integration.saga.pipeline import REFUNDED, Ending, Order
from tests.support.factories import ALICE, TRACE

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

WINDOW_MINUTES: Final = 30

TOLD: Final = ["cancellation_confirmed"]
NEVER_CHARGED: Final = Ending("CANCELLED", "CANCELLATION_REQUESTED", payment="VOIDED", told=TOLD)
RELEASED: Final = Ending(
    "CANCELLED", "CANCELLATION_REQUESTED", reservations=["RELEASED"] * 2, payment="VOIDED", told=TOLD
)
GIVEN_BACK: Final = Ending(
    "CANCELLED",
    "CANCELLATION_REQUESTED",
    reservations=["RELEASED"] * 2,
    payment="REFUNDED",
    ledger=REFUNDED,
    told=TOLD,
)
SALE_UNDONE: Final = Ending(
    "CANCELLED",
    "CANCELLATION_REQUESTED",
    reservations=["RESTORED"] * 2,
    payment="REFUNDED",
    ledger=REFUNDED,
    told=TOLD,
)


def cancel(order: Order, database: Database | None = None, **changes: Any) -> CancellationState:
    """Its owner cancels the order."""
    pipeline = order.pipeline
    return cancel_order(
        database or pipeline.database,
        lambda token: actions.wake(cast("SFNClient", pipeline.tokens), token),
        request(order.order_id, **changes),
    )


def request(order_id: UUID, **changes: Any) -> CancellationRequest:
    usual: dict[str, Any] = {
        "order_id": order_id,
        "user_id": ALICE,
        "is_administrator": False,
        "window_minutes": WINDOW_MINUTES,
        "trace": TRACE,
    }
    return CancellationRequest(**usual | changes)


def refunds_of(order: Order) -> list[dict[str, Any]]:
    return order.pipeline.rows(
        "SELECT id, origin, requested_by, reason, amount, restock FROM refunds WHERE order_id = :order_id",
        order_id=order.order_id,
    )


def operator_actions_of(order: Order) -> list[dict[str, Any]]:
    return order.pipeline.rows(
        "SELECT * FROM operator_actions WHERE order_id = :order_id", order_id=order.order_id
    )


def cancellations_of(order: Order) -> list[dict[str, Any]]:
    return order.pipeline.rows(
        "SELECT * FROM order_cancellations WHERE order_id = :order_id", order_id=order.order_id
    )
