"""What the routes depend on: one database, one gateway and one client of each AWS service for the process."""

import functools
from collections.abc import Callable
from typing import Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.operations.logs import reader
from functions.operations.logs.reader import FunctionLogs
from functions.operations.metrics.request_durations import RequestDurations
from functions.operations.metrics.request_durations import connect as connect_to_cloudwatch
from functions.operations.orders.review import Review
from functions.operations.queues.dead_letters import DeadLetters, connect
from functions.operations.queues.message_ages import MessageAges
from functions.operations.queues.message_ages import connect as connect_for_ages
from functions.operations.queues.queue_operations import QueueOperations
from functions.operations.refunds.desk import RefundDesk
from functions.operations.settings import Settings
from orders import executions as step_functions
from orders.db import Database
from orders.executions import Executions, Subject

NEEDED_SECONDS: Final = 8.0
"""What must be left of the function's time for another call to SQS, and for what is written and given back after it."""

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)


@functools.cache
def executions() -> Executions:
    return Executions(step_functions.connect(), settings.state_machine_arn)


@functools.cache
def refund_executions() -> Executions:
    return Executions(step_functions.connect(), settings.refund_state_machine_arn, Subject.REFUND)


@functools.cache
def dead_letters() -> DeadLetters:
    return DeadLetters(connect(), settings.queue_urls, settings.dlq_urls)


@functools.cache
def message_ages() -> MessageAges:
    return MessageAges(connect_for_ages(), settings.queue_urls)


@functools.cache
def request_durations() -> RequestDurations:
    return RequestDurations(connect_to_cloudwatch(), settings.stage)


@functools.cache
def function_logs() -> FunctionLogs:
    return FunctionLogs(reader.connect(), settings.log_group_prefix, settings.logging_functions)


def review() -> Review:
    return Review(database, executions(), gateway)


def refund_desk() -> RefundDesk:
    return RefundDesk(database, refund_executions, gateway)


def queue_operations(context: LambdaContext) -> QueueOperations:
    """For one request, within what is left of the function's time."""
    return QueueOperations(database, dead_letters(), message_ages(), may_go_on(context))


def may_go_on(context: LambdaContext) -> Callable[[], bool]:
    """Whether there is time for another call, within what is left of the function's time."""
    return lambda: context.get_remaining_time_in_millis() > 1000 * NEEDED_SECONDS
