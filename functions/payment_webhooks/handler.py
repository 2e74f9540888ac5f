"""Parses the payment provider's webhook route, makes one call, returns the response."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.payment_webhooks.intake import Intake
from functions.payment_webhooks.settings import Settings
from orders.contract import API_PREFIX
from orders.http import Api
from orders.observability import instrumented

settings = Settings.from_environment()
intake = Intake.from_settings(settings)
api = Api(takes_raw_bodies=True)


# The provider's own document says what it sends; ours is for customers.
@api.post(f"{API_PREFIX}/webhooks/payments/<provider>", include_in_schema=False)
def post_event(provider: str) -> dict[str, str]:
    """Takes in one event of the payment provider."""
    event = api.current_event.raw_event
    intake.receive(provider, event, api.correlation_id, api.traceparent)
    return {}


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
