"""The requests and the responses of the webhook routes."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from orders.events import SOURCE
from orders.fields import Text
from orders.http import ApiModel, ApiRequest, invalid_value
from orders.webhooks.destination import MAX_URL_LENGTH
from orders.webhooks.states import (
    TEST_EVENT_TYPE,
    DeliveryError,
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    WebhookEventType,
)

Url = Annotated[
    str,
    Field(
        max_length=MAX_URL_LENGTH,
        description="https, port 443, on the public internet",
        examples=["https://shop.example.com/hooks/orders"],
    ),
]
Description = Annotated[
    Text | None, Field(description="For its owner's eyes", examples=["The shop's warehouse"])
]
EventTypes = Annotated[
    list[Annotated[WebhookEventType, Field(strict=False)]] | None,
    Field(
        min_length=1,
        description="What it is told; `null` is everything, also what there will be later",
        examples=[[WebhookEventType.CONFIRMED, WebhookEventType.CANCELLED]],
    ),
    AfterValidator(lambda given: given and sorted(set(given))),
]


def _without_default(schema: dict[str, Any]) -> None:
    """In the document what is left out is no value."""
    schema.pop("default", None)


class RegisterWebhook(ApiRequest):
    """Where a customer wants to hear of the end of their orders."""

    url: Url
    description: Description = None
    event_types: EventTypes = None


class ChangeWebhook(ApiRequest):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    url: Url = Field(default="", json_schema_extra=_without_default)
    description: Description = None
    event_types: EventTypes = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise invalid_value("At least one field must be given")
        return self


class RotateSecret(ApiRequest):
    """How the secret is replaced."""

    revoke_previous: bool = Field(
        default=False,
        description="Whether earlier secrets are worth nothing at once, as after a leak; otherwise they have a day",
    )


class NothingAsked(ApiRequest):
    """A request that says all it has to say by its path."""


class Webhook(ApiModel):
    webhook_id: UUID
    url: str
    description: str | None
    event_types: list[WebhookEventType] | None = Field(description="What it is told; `null` is everything")
    status: EndpointStatus
    disabled_reason: DisabledReason | None = Field(description="Why nothing is sent to it any more")
    disabled_at: datetime | None
    created_at: datetime


class RegisteredWebhook(Webhook):
    secret: str = Field(
        description="What signatures are verified with. It is shown this once, and to repetitions of this request"
    )


class WebhookList(ApiModel):
    """All of the caller's webhooks, oldest first."""

    items: list[Webhook]
    next_cursor: None = None


class RotatedSecret(ApiModel):
    webhook_id: UUID
    secret: str = Field(
        description="The new secret. It is shown this once, and to repetitions of this request"
    )
    previous_secret_expires_at: datetime | None = Field(
        description="Until then deliveries are also signed with the secret before the newest one; `null` if they are "
        "not. A secret that is older still has the time that it was given"
    )


class Delivery(ApiModel):
    """One event on its way to one webhook."""

    delivery_id: UUID
    event_id: UUID = Field(description="The `webhook-id` that is sent, the same in every attempt")
    event_type: str
    order_id: UUID | None = Field(description="`null` for a test, which belongs to no order")
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


class WebhookTestData(ApiModel):
    """What a test says."""

    webhook_id: UUID


class WebhookTestEvent(BaseModel):
    """The CloudEvent that the owner of a webhook can have sent to it."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    """The `webhook-id`."""
    source: str = SOURCE
    type: Literal["com.orders.webhook.test.v1"] = TEST_EVENT_TYPE
    subject: UUID
    """The webhook: there is no order."""
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: WebhookTestData
