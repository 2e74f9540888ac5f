"""Consumes `payment-webhooks`: each event of the payment provider has us look at its payment, once."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.provider_events.look import NEEDED_SECONDS, look
from functions.provider_events.settings import Settings
from orders.consumer import consume_hints
from orders.db import Database
from orders.observability import instrumented
from orders.payments import actions
from orders.payments.webhooks import ProviderMessage

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)
wake = actions.waker()


def work(message: ProviderMessage) -> None:
    look(database, gateway, wake, settings.payment_provider, message)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume_hints(
        event, context, ProviderMessage, work, dlq_url=settings.dlq_url, needed_seconds=NEEDED_SECONDS
    )
