"""The eleven functions of the saga, each step next to its compensation. All answer the same way: the state the step
has left its part of the order in."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.saga_steps import notification, order, payment, stock
from functions.saga_steps.events import CancellationEvent, StepEvent
from functions.saga_steps.settings import Settings
from orders.db import Database
from orders.domain import SagaStep
from orders.observability import Handler, correlate, instrumented, logger
from orders.payments.simulator import SimulatedGateway

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = SimulatedGateway(database, settings.behaviour)

Event = TypeVar("Event", bound=StepEvent)


def _entry(step: SagaStep, event_type: type[Event], run: Callable[[Event], StrEnum]) -> Handler:
    @instrumented
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
        parsed = event_type.model_validate(event)
        correlate(parsed.correlation_id, order_id=str(parsed.order_id), step=step)
        outcome = run(parsed)
        logger.info("Step done", outcome=outcome)
        return {"orderId": str(parsed.order_id), "step": step, "outcome": outcome}

    return handler


verify_stock = _entry(SagaStep.VERIFY_STOCK, StepEvent, lambda e: stock.verify(database, e.order_id))

reserve_inventory = _entry(
    SagaStep.RESERVE_INVENTORY,
    StepEvent,
    lambda e: stock.reserve(database, e.order_id, settings.reservation_ttl_seconds),
)
release_reservation = _entry(
    SagaStep.RELEASE_RESERVATION, StepEvent, lambda e: stock.release(database, e.order_id)
)

process_payment = _entry(
    SagaStep.PROCESS_PAYMENT, StepEvent, lambda e: payment.process(database, gateway, e.order_id)
)
refund_payment = _entry(
    SagaStep.REFUND_PAYMENT, StepEvent, lambda e: payment.refund(database, gateway, e.order_id)
)

confirm_reservation = _entry(
    SagaStep.CONFIRM_RESERVATION, StepEvent, lambda e: stock.confirm(database, e.order_id)
)
restore_inventory = _entry(
    SagaStep.RESTORE_INVENTORY, StepEvent, lambda e: stock.restore(database, e.order_id)
)

send_confirmation = _entry(
    SagaStep.SEND_CONFIRMATION,
    StepEvent,
    lambda e: notification.send_confirmation(database, e.order_id, e.trace),
)
send_cancellation = _entry(
    SagaStep.SEND_CANCELLATION,
    CancellationEvent,
    lambda e: notification.send_cancellation(database, e.order_id, e.failure.reason, e.trace),
)

complete_order = _entry(SagaStep.COMPLETE_ORDER, StepEvent, lambda e: order.complete(database, e.order_id))
mark_cancelled = _entry(
    SagaStep.MARK_CANCELLED,
    CancellationEvent,
    lambda e: order.cancel(database, e.order_id, e.failure, e.unfinished),
)
