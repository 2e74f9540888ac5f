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
    IdempotencyKeyReused,
    InvalidWebhook,
    TooManyRedeliveries,
    TooManySecrets,
    TooManyTests,
    WebhookDisabled,
    WebhookLimitReached,
    WebhookNotFound,
)
from orders.events import Trace
from orders.fields import OptionalIdempotencyKey
from orders.http import Api, ApiRequest, json_response
from orders.idempotency import REPLAYED_HEADER, IdempotentRequest, replay_header
from orders.observability import instrumented
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
_WITH_OVERLAP: Final = models.RotateSecret()


@api.post(
    WEBHOOKS,
    status_code=HTTPStatus.CREATED,
    responses=responses(
        HTTPStatus.CREATED,
        headers=["Location", REPLAYED_HEADER],
        errors=[InvalidWebhook, WebhookLimitReached, WebhookNotFound, IdempotencyKeyReused],
    ),
)
def post_webhook(
    webhook: Annotated[models.RegisterWebhook, Body()], idempotency_key: OptionalIdempotencyKey = None
) -> Response[models.RegisteredWebhook]:
    """Registers an endpoint that hears of the end of each of the caller's orders. The secret is shown this once."""
    made = registrar.register(
        database, api.user_id, webhook, _request(webhook, idempotency_key, "register a webhook")
    )
    headers = {"Location": f"{WEBHOOKS}/{made.content.webhook_id}"}
    return json_response(made.content, HTTPStatus.CREATED, headers | replay_header(made.replayed))


@api.get(WEBHOOKS, responses=responses())
def get_webhooks() -> models.WebhookList:
    """The caller's webhooks, without their secrets."""
    return models.WebhookList(items=endpoints.list_all(database, api.user_id))


@api.get(WEBHOOK, responses=FOUND)
def get_webhook(webhook_id: str) -> models.Webhook:
    """One of the caller's webhooks, without its secret."""
    return endpoints.read(database, api.user_id, webhook_id)


@api.patch(WEBHOOK, responses=responses(errors=[WebhookNotFound, InvalidWebhook]))
def patch_webhook(webhook_id: str, change: Annotated[models.ChangeWebhook, Body()]) -> models.Webhook:
    """Changes a webhook. Its secret stays; what is on its way goes to the new URL with its next attempt."""
    return registrar.change(database, api.user_id, webhook_id, change)


@api.delete(
    WEBHOOK,
    status_code=HTTPStatus.NO_CONTENT,
    responses=responses(HTTPStatus.NO_CONTENT, errors=[WebhookNotFound]),
)
def delete_webhook(webhook_id: str) -> None:
    """Removes a webhook and the record of its deliveries."""
    endpoints.remove(database, api.user_id, webhook_id)


@api.post(
    f"{WEBHOOK}/secret",
    responses=responses(
        headers=[REPLAYED_HEADER],
        errors=[WebhookNotFound, TooManySecrets, IdempotencyKeyReused],
    ),
)
def post_secret(
    webhook_id: str,
    rotation: Annotated[models.RotateSecret, Body()] = _WITH_OVERLAP,
    idempotency_key: OptionalIdempotencyKey = None,
) -> Response[models.RotatedSecret]:
    """Replaces the secret. Deliveries are signed with the earlier ones as well for a day, unless these are revoked."""
    request = _request(rotation, idempotency_key, f"replace the secret of {webhook_id}")
    rotated = endpoints.rotate_secret(database, keys, api.user_id, webhook_id, rotation, request)
    return json_response(rotated.content, headers=replay_header(rotated.replayed))


@api.post(
    f"{WEBHOOK}/enable",
    responses=responses(headers=[REPLAYED_HEADER], errors=[WebhookNotFound, IdempotencyKeyReused]),
)
def post_enable(webhook_id: str, idempotency_key: OptionalIdempotencyKey = None) -> Response[models.Webhook]:
    """Lets events be sent to a disabled webhook again, from the next one on."""
    request = _request(models.NothingAsked(), idempotency_key, f"enable {webhook_id}")
    enabled = endpoints.enable(database, api.user_id, webhook_id, request)
    return json_response(enabled.content, headers=replay_header(enabled.replayed))


@api.post(
    f"{WEBHOOK}/test",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED,
        headers=[REPLAYED_HEADER],
        errors=[
            WebhookNotFound,
            DeliveryNotFound,
            WebhookDisabled,
            TooManyTests,
            IdempotencyKeyReused,
        ],
    ),
)
def post_test(webhook_id: str, idempotency_key: OptionalIdempotencyKey = None) -> Response[models.Delivery]:
    """Sends a signed event of the type `com.orders.webhook.test.v1`, soon, whatever else the webhook is told."""
    request = _request(models.NothingAsked(), idempotency_key, f"test {webhook_id}")
    sent = delivery_history.send_test(database, api.user_id, webhook_id, _trace(), request)
    return json_response(sent.content, HTTPStatus.ACCEPTED, replay_header(sent.replayed))


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
        HTTPStatus.ACCEPTED,
        headers=[REPLAYED_HEADER],
        errors=[
            WebhookNotFound,
            DeliveryNotFound,
            WebhookDisabled,
            IdempotencyKeyReused,
            TooManyRedeliveries,
        ],
    ),
)
def post_redeliver(
    webhook_id: str, delivery_id: str, idempotency_key: OptionalIdempotencyKey = None
) -> Response[models.Delivery]:
    """Sends a delivery again, soon; its `webhook-id` stays the same."""
    request = _request(models.NothingAsked(), idempotency_key, f"redeliver {delivery_id} of {webhook_id}")
    per_hour = settings.redeliveries_per_hour
    sent = delivery_history.send_again(
        database, api.user_id, webhook_id, delivery_id, _trace(), per_hour, request
    )
    return json_response(sent.content, HTTPStatus.ACCEPTED, replay_header(sent.replayed))


def _request(body: ApiRequest, key: str | None, operation: str) -> IdempotentRequest | None:
    if key is None:
        return None
    return IdempotentRequest.of(body, user_id=api.user_id, key=key, operation=operation)


def _trace() -> Trace:
    return Trace(api.correlation_id, api.traceparent)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    # A body is optional here alone: without one the secret is replaced as by default.
    if event["rawPath"].endswith("/secret") and not event.get("body"):
        event = {**event, "body": "{}", "isBase64Encoded": False}
    return api.resolve(event, context)
