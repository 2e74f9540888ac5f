"""Consumes `webhook-delivery`: an order's end becomes deliveries, and a scheduled attempt becomes a request."""

import functools
import ssl
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.deliver_webhooks.deliver import NEEDED_SECONDS, WebhookDelivery
from functions.deliver_webhooks.schedule import Schedule
from functions.deliver_webhooks.sender import HttpSender
from functions.deliver_webhooks.settings import Settings
from orders.consumer import consume
from orders.db import Database
from orders.events import WebhookEvent
from orders.observability import instrumented
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import SystemResolver

settings = Settings.from_environment()
delivery = WebhookDelivery(
    Database.from_settings(settings),
    SigningKeys.from_secret(settings.webhook_key_id),
    # Reading the authorities takes 30 ms: the first request over TLS does it, not the cold start.
    HttpSender(
        SystemResolver(),
        functools.cache(ssl.create_default_context),
        allow_loopback=settings.allow_loopback_webhooks,
    ),
    Schedule(settings.webhook_retry_seconds),
)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(
        event,
        context,
        WebhookEvent,
        delivery.handle,
        database=delivery.database,
        dlq_url=settings.dlq_url,
        needed_seconds=NEEDED_SECONDS,
    )
