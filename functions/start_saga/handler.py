"""Consumes `order-processing`: an OrderCreated event starts the order's saga."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.start_saga.settings import Settings
from functions.start_saga.start_saga import NEEDED_SECONDS, connect, start_saga
from orders.consumer import consume
from orders.events import CloudEvent, OrderCreated
from orders.observability import instrumented

settings = Settings.from_environment()
step_functions = functools.cache(connect)


def start(event: CloudEvent, order: OrderCreated) -> None:
    start_saga(step_functions(), settings.state_machine_arn, event)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(event, context, OrderCreated, start, NEEDED_SECONDS)
