"""The responses of the read routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from orders.domain import (
    Channel,
    Notification,
    NotificationStatus,
    OrderStatus,
    Priority,
    SagaStep,
    StepOutcome,
    SuppressionReason,
    ToldFailureReason,
)
from orders.http import ApiModel


class OrderLine(ApiModel):
    product_id: UUID
    product_name: str = Field(description="As it was called when the order was placed")
    quantity: int
    unit_price: int = Field(description="What one cost when the order was placed, in minor units")


class OrderHead(ApiModel):
    """What an order says of itself as a whole."""

    order_id: UUID
    status: OrderStatus
    failure_reason: ToldFailureReason = Field(description="Why the order was cancelled, once it is")
    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    priority: Priority
    created_at: datetime
    updated_at: datetime


class OrderDetail(OrderHead):
    """An order with its items."""

    items: list[OrderLine]


class OrderSummary(OrderHead):
    """An order in a list."""

    item_count: int = Field(description="How many different products were ordered")


class OrderList(ApiModel):
    """The caller's orders, newest first."""

    items: list[OrderSummary]
    next_cursor: str | None = Field(description="Gives the next page; null on the last one")


class Step(ApiModel):
    name: SagaStep
    status: StepOutcome = Field(description="SKIPPED: there was nothing to do, e.g. nothing to refund")
    at: datetime


class OrderProgress(ApiModel):
    """How far the order is; its steps in the order in which they happened."""

    order_id: UUID
    status: OrderStatus
    failure_reason: ToldFailureReason
    progress: int = Field(ge=0, le=100)
    steps: list[Step]


class NotificationDelivery(ApiModel):
    """One notification on one channel."""

    type: Notification
    channel: Channel
    status: NotificationStatus = Field(examples=["SENT"])
    recipient: str | None = Field(
        description="The address, masked; null once it is erased", examples=["a***@example.com"]
    )
    attempts: int
    provider_id: str | None = Field(
        description="The provider's id of it, once it is sent",
        examples=["9d1f6c2e-5d0b-4f8e-a1c3-2b7e4f6a8c90"],
    )
    error: str | None = Field(
        description="Why it was not sent: the provider's code or, if it is SUPPRESSED, "
        f"{', '.join(SuppressionReason)}",
        examples=[None],
    )
    queued_at: datetime
    sent_at: datetime | None


class NotificationList(ApiModel):
    """An order's notifications, first asked for first."""

    items: list[NotificationDelivery]
    next_cursor: None = None


class Product(ApiModel):
    product_id: UUID
    name: str
    unit_price: int = Field(description="Minor units of `currency`")
    currency: str
    available: int = Field(description="Units that can be ordered now")
    active: bool = Field(description="Whether it is on sale")


class ProductList(ApiModel):
    """Products on sale, oldest first."""

    items: list[Product]
    next_cursor: str | None = Field(description="Gives the next page; null on the last one")


class Health(ApiModel):
    status: Literal["live", "ready"]
