"""Parses the webhook routes, makes one call, returns the response."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhooks import delivery_history, endpoints, models
from functions.webhooks.settings import Settings
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import (
    DeliveryNotFound,
    InvalidWebhook,
    TooManyRedeliveries,
    WebhookDisabled,
    WebhookLimitReached,
    WebhookNotFound,
)
from orders.events import Trace
from orders.http import Api, json_response
from orders.observability import instrumented, new_traceparent
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import SystemResolver

settings = Settings.from_environment()
database = Database.from_settings(settings)
keys = SigningKeys.from_secret(settings.webhook_key_id)
registrar = endpoints.Registrar(keys, SystemResolver(), settings.allow_loopback_webhooks)
api = Api()

WEBHOOKS: Final = f"{API_PREFIX}/webhooks"
WEBHOOK: Final = f"{WEBHOOKS}/<webhook_id>"
DELIVERIES: Final = f"{WEBHOOK}/deliveries"
FOUND: Final = responses(errors=[WebhookNotFound])
_NOT_TO_BE_KEPT: Final = {"Cache-Control": "no-store"}


@api.post(
    WEBHOOKS,
    status_code=HTTPStatus.CREATED,
    responses=responses(
        HTTPStatus.CREATED,
        headers=["Location", "Cache-Control"],
        errors=[InvalidWebhook, WebhookLimitReached],
    ),
)
def post_webhook(webhook: Annotated[models.RegisterWebhook, Body()]) -> Response[models.RegisteredWebhook]:
    """Registers an endpoint that hears of the end of each of the caller's orders. The secret is shown this once."""
    made = registrar.register(database, api.user_id, webhook)
    location = {"Location": f"{WEBHOOKS}/{made.webhook_id}"}
    return json_response(made, HTTPStatus.CREATED, location | _NOT_TO_BE_KEPT)


@api.get(WEBHOOKS, responses=responses())
def get_webhooks() -> models.WebhookList:
    """The caller's webhooks, without their secrets."""
    return models.WebhookList(items=endpoints.list_all(database, api.user_id))


@api.get(WEBHOOK, responses=FOUND)
def get_webhook(webhook_id: str) -> models.Webhook:
    """One of the caller's webhooks, without its secret."""
    return endpoints.read(database, api.user_id, webhook_id)


@api.delete(
    WEBHOOK,
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(HTTPStatus.NO_CONTENT, errors=[WebhookNotFound]),
)
def delete_webhook(webhook_id: str) -> None:
    """Removes a webhook and the record of its deliveries."""
    endpoints.remove(database, api.user_id, webhook_id)


@api.post(f"{WEBHOOK}/secret", responses=responses(headers=["Cache-Control"], errors=[WebhookNotFound]))
def post_secret(webhook_id: str) -> Response[models.RotatedSecret]:
    """Replaces the secret. For a day deliveries are signed with both; replaced twice, the first is worth nothing."""
    rotated = endpoints.rotate_secret(database, keys, api.user_id, webhook_id)
    return json_response(rotated, headers=_NOT_TO_BE_KEPT)


@api.post(f"{WEBHOOK}/enable", responses=FOUND)
def post_enable(webhook_id: str) -> models.Webhook:
    """Lets events be sent to a disabled webhook again, from the next one on."""
    return endpoints.enable(database, api.user_id, webhook_id)


@api.get(DELIVERIES, responses=FOUND)
def get_deliveries(
    webhook_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> models.DeliveryList:
    """What was sent to a webhook, or is going to be; newest first."""
    return delivery_history.list_page(database, api.user_id, webhook_id, limit=limit, cursor=cursor)


@api.post(
    f"{DELIVERIES}/<delivery_id>/redeliver",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED, errors=[WebhookNotFound, DeliveryNotFound, WebhookDisabled, TooManyRedeliveries]
    ),
)
def post_redeliver(webhook_id: str, delivery_id: str) -> models.Delivery:
    """Sends a delivery again, soon; its `webhook-id` stays the same."""
    trace = Trace(api.correlation_id, new_traceparent())
    per_hour = settings.redeliveries_per_hour
    return delivery_history.send_again(database, api.user_id, webhook_id, delivery_id, trace, per_hour)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
