"""Consumes `payment-processing`: each captured or refunded payment is reconciled once."""

from typing import Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.payment_events.reconcile import reconcile
from functions.payment_events.settings import Settings
from orders.consumer import consume
from orders.db import Database
from orders.events import CloudEvent, PaymentEvent
from orders.observability import instrumented

NEEDED_SECONDS: Final = 6.0
"""A look and a refund at a gateway that takes its 2 seconds for each, and what is recorded of them."""

settings = Settings.from_environment()
database = Database.from_settings(settings)
gateway = settings.gateway(database)


def work(event: CloudEvent, payment: PaymentEvent) -> None:
    reconcile(database, gateway, event)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(
        event,
        context,
        PaymentEvent,
        work,
        database=database,
        dlq_url=settings.dlq_url,
        needed_seconds=NEEDED_SECONDS,
    )
