"""Started every minute: one round of maintenance."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.maintenance.deadline import Deadline
from functions.maintenance.maintenance import Maintenance
from functions.maintenance.settings import Settings
from orders.db import Database
from orders.executions import Executions, Subject, connect
from orders.observability import instrumented, logger

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)


@functools.cache
def executions() -> Executions:
    return Executions(connect(), settings.state_machine_arn)


@functools.cache
def refund_executions() -> Executions:
    return Executions(connect(), settings.refund_state_machine_arn, Subject.REFUND)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000)
    counts = Maintenance(database, executions, refund_executions, gateway, settings.contact_retention).run(
        deadline
    )
    logger.info("Maintenance is over", extra=counts)
    return counts
