"""The function of all steps of a refund: the state machine says which. It returns how the refund is."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.refund_steps import steps
from functions.refund_steps.events import RefundStepEvent
from functions.refund_steps.settings import Settings
from orders.db import Database
from orders.observability import correlate, instrumented, logger

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)


def _take(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    step = RefundStepEvent.model_validate(event)
    correlate(step.correlation_id, step.traceparent, **step.names)
    outcome = steps.take(database, gateway, step)
    logger.info("Step done", outcome=outcome)
    return {"refundId": str(step.refund_id), "step": step.step, "outcome": outcome}


handler = instrumented(_take, failed="Step failed")
