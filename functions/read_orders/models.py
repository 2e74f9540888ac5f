"""The responses of the read routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from orders.domain import (
    CancellationOutcome,
    Channel,
    Notification,
    NotificationStatus,
    OrderStatus,
    Priority,
    RefundStatus,
    SagaStep,
    StepOutcome,
    SuppressionReason,
)
from orders.http import ApiModel
from orders.payments.provider import PaymentProvider
from orders.told_failure import ToldFailureReason


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


class Cancellation(ApiModel):
    """Whether the order may be cancelled, and whether that was asked for: `POST /orders/{orderId}/cancellation`."""

    possible: bool = Field(description="Whether the order may be cancelled now")
    possible_until: datetime | None = Field(
        description="Until when a confirmed order may be cancelled, or could be; null before it is confirmed"
    )
    requested_at: datetime | None = Field(description="When the cancellation was asked for, if it was")
    outcome: CancellationOutcome | None = Field(
        description="CANCELLING: it is cancelled at its next step. REFUNDING: it was confirmed before, and is refunded"
    )
    refund_id: UUID | None


class RefundedLine(ApiModel):
    product_id: UUID
    quantity: int


class OrderRefund(ApiModel):
    """One refund of the order. What operators say of it among themselves is not in it."""

    refund_id: UUID
    amount: int = Field(description="Minor units of `currency`")
    currency: str
    status: RefundStatus = Field(
        description="COMPLETED: the money is on its way to you. REJECTED: it was not given back"
    )
    lines: list[RefundedLine] = Field(description="What it is for; none if it is for no certain items")
    created_at: datetime
    completed_at: datetime | None


class OrderDetail(OrderHead):
    """An order with its items and its refunds. A confirmed order stays CONFIRMED when it is refunded."""

    items: list[OrderLine]
    refunded_amount: int = Field(
        description="What the payment provider has given back so far, in minor units of `currency`"
    )
    refunds: list[OrderRefund] = Field(description="Oldest first")
    cancellation: Cancellation


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


class NextAction(ApiModel):
    """What the customer must do before the payment can go on, with the provider's own library or page."""

    type: str = Field(description="In the provider's terms", examples=["authenticate"])
    provider: PaymentProvider
    client_secret: str | None = Field(
        repr=False,
        description="For the provider's library in the customer's browser. Only the order's owner gets it: keep it "
        "out of logs and URLs",
        examples=["pi_3Qx_secret_7f2"],
    )
    expires_at: datetime = Field(description="The order is cancelled if they have not acted by then")


class OrderProgress(ApiModel):
    """How far the order is; its steps in the order in which they happened."""

    order_id: UUID
    status: OrderStatus
    failure_reason: ToldFailureReason
    progress: int = Field(ge=0, le=100)
    steps: list[Step]
    next_action: NextAction | None = Field(
        description="What the order waits for its customer to do; usually null"
    )


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
    refund_id: UUID | None = Field(description="The refund that it tells of")
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
