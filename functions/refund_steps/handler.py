"""The functions of a refund, in the order of `statemachines/order_refund.asl.json`. Each returns how the refund is."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.refund_steps import steps
from functions.refund_steps.events import FailedRefundEvent, RefundStepEvent
from functions.refund_steps.settings import Settings
from orders.db import Database
from orders.domain import RefundStep
from orders.observability import Handler, correlate, instrumented, logger

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)

Event = TypeVar("Event", bound=RefundStepEvent)


def _entry(step: RefundStep, event_type: type[Event], run: Callable[[Event], StrEnum]) -> Handler:
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
        logger.append_keys(step=step)
        parsed = event_type.model_validate(event)
        correlate(parsed.correlation_id, **parsed.names)
        outcome = run(parsed)
        logger.info("Step done", outcome=outcome)
        return {"refundId": str(parsed.refund_id), "step": step, "outcome": outcome}

    return instrumented(handler, failed="Step failed")


begin_refund = _entry(RefundStep.BEGIN_REFUND, RefundStepEvent, lambda e: steps.begin(database, e.refund_id))
refund_payment = _entry(
    RefundStep.REFUND_PAYMENT,
    RefundStepEvent,
    lambda e: steps.refund_payment(database, gateway, e.refund_id, e.trace),
)
restock_items = _entry(
    RefundStep.RESTOCK_ITEMS, RefundStepEvent, lambda e: steps.restock(database, e.refund_id)
)
send_refund_notice = _entry(
    RefundStep.SEND_REFUND_NOTICE, RefundStepEvent, lambda e: steps.complete(database, e.refund_id, e.trace)
)
mark_for_review = _entry(
    RefundStep.MARK_FOR_REVIEW,
    FailedRefundEvent,
    lambda e: steps.require_review(database, e.refund_id, e.failure),
)
