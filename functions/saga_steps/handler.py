"""The twelve functions of the saga, each step next to its compensation. Each returns the state of its part."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.saga_steps import order, payment, stock
from functions.saga_steps.events import CancellationEvent, StepEvent, WaitEvent
from functions.saga_steps.settings import Settings
from functions.saga_steps.transaction import turn_back
from orders.db import Database
from orders.domain import SagaStep
from orders.observability import Handler, correlate, instrumented, logger
from orders.payments import actions

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)
wake = actions.waker()

Event = TypeVar("Event", bound=StepEvent)


def _entry(step: SagaStep, event_type: type[Event], run: Callable[[Event], StrEnum]) -> Handler:
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
        logger.append_keys(step=step)
        parsed = event_type.model_validate(event)
        correlate(parsed.correlation_id, parsed.traceparent, **parsed.names)
        outcome = run(parsed)
        logger.info("Step done", outcome=outcome)
        return {"orderId": str(parsed.order_id), "step": step, "outcome": outcome}

    return instrumented(handler, failed="Step failed")


def _compensation(step: SagaStep, run: Callable[[CancellationEvent], StrEnum]) -> Handler:
    return _entry(step, CancellationEvent, lambda e: run(turn_back(database, e)))


verify_stock = _entry(SagaStep.VERIFY_STOCK, StepEvent, lambda e: stock.verify(database, e.order_id))

reserve_inventory = _entry(
    SagaStep.RESERVE_INVENTORY,
    StepEvent,
    lambda e: stock.reserve(database, e.order_id, settings.reservation_ttl_seconds, e.trace),
)
release_reservation = _compensation(
    SagaStep.RELEASE_RESERVATION, lambda e: stock.release(database, e.order_id)
)

process_payment = _entry(
    SagaStep.PROCESS_PAYMENT, StepEvent, lambda e: payment.process(database, gateway, e.order_id, e.trace)
)
wait_for_payment = _entry(
    SagaStep.WAIT_FOR_PAYMENT, WaitEvent, lambda e: payment.wait(database, wake, e.order_id, e.task_token)
)
refund_payment = _compensation(
    SagaStep.REFUND_PAYMENT, lambda e: payment.refund(database, gateway, e.order_id, e.trace)
)
confirm_reservation = _entry(
    SagaStep.CONFIRM_RESERVATION, StepEvent, lambda e: stock.confirm(database, e.order_id)
)
restore_inventory = _compensation(SagaStep.RESTORE_INVENTORY, lambda e: stock.restore(database, e.order_id))
send_confirmation = _entry(
    SagaStep.SEND_CONFIRMATION, StepEvent, lambda e: order.send_confirmation(database, e.order_id)
)
send_cancellation = _compensation(
    SagaStep.SEND_CANCELLATION,
    lambda e: order.send_cancellation(database, e.order_id, e.failure.reason, e.trace),
)
complete_order = _entry(
    SagaStep.COMPLETE_ORDER, StepEvent, lambda e: order.complete(database, e.order_id, e.trace)
)
mark_cancelled = _compensation(
    SagaStep.MARK_CANCELLED,
    lambda e: order.cancel(database, e.order_id, e.failure, e.unfinished, e.trace),
)
