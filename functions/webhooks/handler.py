"""Parses the webhook routes, makes one call, returns the response."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhooks import delivery_history, endpoints, models, responses
from functions.webhooks.responses import DELIVERIES, WEBHOOK, WEBHOOKS
from functions.webhooks.settings import Settings
from orders.db import Database
from orders.http import Api
from orders.observability import instrumented, new_traceparent
from orders.pages import DEFAULT_LIMIT, Cursor, Limit
from orders.trace import Trace
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import SystemResolver

settings = Settings.from_environment()
database = Database.from_settings(settings)
keys = SigningKeys.from_secret(settings.webhook_key_id)
registrar = endpoints.Registrar(keys, SystemResolver(), settings.allow_loopback_webhooks)
api = Api()


@api.post(WEBHOOKS, status_code=201, responses=responses.REGISTERED)
def post_webhook(webhook: Annotated[models.RegisterWebhook, Body()]) -> Response[models.RegisteredWebhook]:
    """Registers an endpoint that hears of the end of each of the caller's orders. The secret is shown this once."""
    return responses.created(registrar.register(database, api.user_id, webhook))


@api.get(WEBHOOKS, responses=responses.LISTED)
def get_webhooks() -> models.WebhookList:
    """The caller's webhooks, without their secrets."""
    return models.WebhookList(items=endpoints.list_all(database, api.user_id))


@api.get(WEBHOOK, responses=responses.FOUND)
def get_webhook(webhook_id: str) -> models.Webhook:
    """One of the caller's webhooks, without its secret."""
    return endpoints.read(database, api.user_id, webhook_id)


@api.delete(WEBHOOK, status_code=204, responses=responses.REMOVED)
def delete_webhook(webhook_id: str) -> None:
    """Removes a webhook and the record of its deliveries."""
    endpoints.remove(database, api.user_id, webhook_id)


@api.post(f"{WEBHOOK}/secret", responses=responses.ROTATED)
def post_secret(webhook_id: str) -> Response[models.RotatedSecret]:
    """Replaces the secret. For a day deliveries are signed with both; replaced twice, the first is worth nothing."""
    return responses.with_secret(endpoints.rotate_secret(database, keys, api.user_id, webhook_id))


@api.post(f"{WEBHOOK}/enable", responses=responses.FOUND)
def post_enable(webhook_id: str) -> models.Webhook:
    """Lets events be sent to a disabled webhook again, from the next one on."""
    return endpoints.enable(database, api.user_id, webhook_id)


@api.get(DELIVERIES, responses=responses.FOUND)
def get_deliveries(
    webhook_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> models.DeliveryList:
    """What was sent to a webhook, or is going to be; newest first."""
    return delivery_history.list_page(database, api.user_id, webhook_id, limit=limit, cursor=cursor)


@api.post(f"{DELIVERIES}/<delivery_id>/redeliver", status_code=202, responses=responses.SENT_AGAIN)
def post_redeliver(webhook_id: str, delivery_id: str) -> models.Delivery:
    """Sends a delivery again, soon; its `webhook-id` stays the same."""
    trace = Trace(api.correlation_id, new_traceparent())
    return delivery_history.send_again(database, api.user_id, webhook_id, delivery_id, trace)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
