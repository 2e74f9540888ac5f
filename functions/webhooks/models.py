"""The requests and the responses of the webhook routes."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from orders.fields import Text
from orders.http import ApiModel, ApiRequest
from orders.webhooks.destination import MAX_URL_LENGTH
from orders.webhooks.states import DeliveryError, DeliveryStatus, DisabledReason, EndpointStatus


class RegisterWebhook(ApiRequest):
    """Where a customer wants to hear of the end of their orders."""

    url: str = Field(
        max_length=MAX_URL_LENGTH,
        description="https, port 443, on the public internet",
        examples=["https://shop.example.com/hooks/orders"],
    )
    description: Text | None = Field(
        default=None, description="For its owner's eyes", examples=["The shop's warehouse"]
    )


class Webhook(ApiModel):
    webhook_id: UUID
    url: str
    description: str | None
    status: EndpointStatus
    disabled_reason: DisabledReason | None = Field(description="Why nothing is sent to it any more")
    disabled_at: datetime | None
    created_at: datetime


class RegisteredWebhook(Webhook):
    secret: str = Field(description="What signatures are verified with. It is shown this once")


class WebhookList(ApiModel):
    """All of the caller's webhooks, oldest first."""

    items: list[Webhook]
    next_cursor: None = None


class RotatedSecret(ApiModel):
    webhook_id: UUID
    secret: str = Field(description="The new secret. It is shown this once")
    previous_secret_expires_at: datetime = Field(
        description="Until then deliveries are also signed with the secret before this one"
    )


class Delivery(ApiModel):
    """One event on its way to one webhook."""

    delivery_id: UUID
    event_id: UUID = Field(description="The `webhook-id` that is sent, the same in every attempt")
    event_type: str
    order_id: UUID
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(
        description="The HTTP status of the last attempt, if there was a response"
    )
    last_error: DeliveryError | None = Field(description="Why the last attempt failed")
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveryList(ApiModel):
    """A webhook's deliveries, newest first."""

    items: list[Delivery]
    next_cursor: str | None
