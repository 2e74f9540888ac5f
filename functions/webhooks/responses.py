"""The webhook routes and their responses: what the API's document says of them, and those that show a secret."""

from http import HTTPStatus
from typing import Final

from aws_lambda_powertools.event_handler import Response

from functions.webhooks.models import RegisteredWebhook
from orders.contract import API_PREFIX
from orders.errors import (
    DeliveryNotFound,
    InvalidWebhook,
    WebhookDisabled,
    WebhookLimitReached,
    WebhookNotFound,
)
from orders.http import Body, json_response
from orders.openapi import responses

WEBHOOKS: Final = f"{API_PREFIX}/webhooks"
WEBHOOK: Final = f"{WEBHOOKS}/<webhook_id>"
DELIVERIES: Final = f"{WEBHOOK}/deliveries"

LISTED: Final = responses()
REGISTERED: Final = responses(
    HTTPStatus.CREATED,
    headers=["Location", "Cache-Control"],
    errors=[InvalidWebhook, WebhookLimitReached],
)
FOUND: Final = responses(errors=[WebhookNotFound])
REMOVED: Final = responses(HTTPStatus.NO_CONTENT, errors=[WebhookNotFound])
ROTATED: Final = responses(headers=["Cache-Control"], errors=[WebhookNotFound])
SENT_AGAIN: Final = responses(
    HTTPStatus.ACCEPTED, errors=[WebhookNotFound, DeliveryNotFound, WebhookDisabled]
)

_NOT_TO_BE_KEPT: Final = {"Cache-Control": "no-store"}


def created(webhook: RegisteredWebhook) -> Response[RegisteredWebhook]:
    """`201` with the webhook's address and its secret."""
    location = {"Location": f"{WEBHOOKS}/{webhook.webhook_id}"}
    return json_response(webhook, HTTPStatus.CREATED, location | _NOT_TO_BE_KEPT)


def with_secret(body: Body) -> Response[Body]:
    """`200` with a secret."""
    return json_response(body, headers=_NOT_TO_BE_KEPT)
