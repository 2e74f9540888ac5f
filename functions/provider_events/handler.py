"""Consumes `payment-webhooks`: each event of the payment provider has us look at its payment, once."""

import functools
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.provider_events.look import NEEDED_SECONDS, look
from functions.provider_events.settings import Settings
from orders import executions
from orders.consumer import consume_messages
from orders.db import Database
from orders.messages import provider_message
from orders.observability import instrumented
from orders.payments import actions

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)
step_functions = functools.cache(executions.connect)


def wake(token: str) -> None:
    actions.wake(step_functions(), token)


def take(record: SQSRecord) -> None:
    look(database, gateway, wake, settings.payment_provider, provider_message(record.body))


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume_messages(event, context, take, dlq_url=settings.dlq_url, needed_seconds=NEEDED_SECONDS)
