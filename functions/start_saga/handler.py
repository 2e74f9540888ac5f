"""Consumes `order-processing`: an order that was created and a refund that was granted get their execution."""

import functools
from typing import Any
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.start_saga.settings import Settings
from functions.start_saga.start_saga import StateMachines, start_execution
from orders import counters
from orders.consumer import consume
from orders.db import Database
from orders.events import CloudEvent, ExecutionRequested, Queue
from orders.executions import LONGEST_CALL_SECONDS, Executions, Subject, connect
from orders.observability import instrumented

settings = Settings.from_environment()
database = Database.from_settings(settings)


@functools.cache
def state_machines() -> StateMachines:
    client = connect()
    return StateMachines(
        orders=Executions(client, settings.state_machine_arn),
        refunds=Executions(client, settings.refund_state_machine_arn, Subject.REFUND),
    )


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    started: list[UUID] = []

    def start(event: CloudEvent, requested: ExecutionRequested) -> None:
        start_execution(state_machines(), event, requested)
        started.append(event.id)

    response = consume(
        event,
        context,
        ExecutionRequested,
        start,
        database=database,
        dlq_url=settings.dlq_url,
        needed_seconds=LONGEST_CALL_SECONDS,
    )
    if started:
        counters.count_jobs(database, Queue.ORDER_PROCESSING, len(started))
    return response
