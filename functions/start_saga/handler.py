"""Consumes `order-processing`: an OrderCreated event starts the order's saga."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.start_saga.settings import Settings
from functions.start_saga.start_saga import start_saga
from orders.consumer import consume
from orders.db import Database
from orders.events import CloudEvent, OrderCreated
from orders.executions import LONGEST_CALL_SECONDS, Executions, connect
from orders.observability import instrumented

settings = Settings.from_environment()
database = Database.from_settings(settings)


@functools.cache
def executions() -> Executions:
    return Executions(connect(), settings.state_machine_arn)


def start(event: CloudEvent, order: OrderCreated) -> None:
    start_saga(executions(), event)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(
        event,
        context,
        OrderCreated,
        start,
        database=database,
        dlq_url=settings.dlq_url,
        needed_seconds=LONGEST_CALL_SECONDS,
    )
