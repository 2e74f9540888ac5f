"""The webhook routes and their answers: what the API's document says of them, and those that show a secret."""

from http import HTTPStatus
from typing import Final, TypeVar

from aws_lambda_powertools.event_handler import Response, content_types

from functions.webhooks.models import RegisteredWebhook
from orders.contract import API_PREFIX
from orders.errors import (
    DeliveryNotFound,
    InvalidWebhook,
    WebhookDisabled,
    WebhookLimitReached,
    WebhookNotFound,
)
from orders.http import ApiModel
from orders.openapi import answers

WEBHOOKS: Final = f"{API_PREFIX}/webhooks"
WEBHOOK: Final = f"{WEBHOOKS}/<webhook_id>"
DELIVERIES: Final = f"{WEBHOOK}/deliveries"

LISTED: Final = answers()
REGISTERED: Final = answers(
    HTTPStatus.CREATED,
    headers=["Location", "Cache-Control"],
    refusals=[InvalidWebhook, WebhookLimitReached],
)
FOUND: Final = answers(refusals=[WebhookNotFound])
REMOVED: Final = answers(HTTPStatus.NO_CONTENT, refusals=[WebhookNotFound])
ROTATED: Final = answers(headers=["Cache-Control"], refusals=[WebhookNotFound])
SENT_AGAIN: Final = answers(
    HTTPStatus.ACCEPTED, refusals=[WebhookNotFound, DeliveryNotFound, WebhookDisabled]
)

Body = TypeVar("Body", bound=ApiModel)


def created(webhook: RegisteredWebhook) -> Response[RegisteredWebhook]:
    """`201` with the webhook's address and its secret."""
    return _not_to_be_kept(HTTPStatus.CREATED, webhook, {"Location": f"{WEBHOOKS}/{webhook.webhook_id}"})


def with_secret(body: Body) -> Response[Body]:
    """`200` with a secret."""
    return _not_to_be_kept(HTTPStatus.OK, body, {})


def _not_to_be_kept(status: HTTPStatus, body: Body, headers: dict[str, str]) -> Response[Body]:
    return Response(
        status_code=status,
        content_type=content_types.APPLICATION_JSON,
        headers={**headers, "Cache-Control": "no-store"},
        body=body,
    )
