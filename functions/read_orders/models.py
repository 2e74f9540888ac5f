"""The answers of the read routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from orders.domain import FailureReason, OrderStatus, Priority, SagaStep, StepStatus
from orders.http import ApiModel


class OrderLine(ApiModel):
    product_id: UUID
    quantity: int
    unit_price: int = Field(description="What one cost when the order was placed, in minor units")


class OrderDetail(ApiModel):
    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None = Field(description="Why the order was cancelled, once it is")
    items: list[OrderLine]
    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    priority: Priority
    created_at: datetime
    updated_at: datetime


class Step(ApiModel):
    name: SagaStep
    status: StepStatus
    at: datetime


class OrderProgress(ApiModel):
    """How far the order is; its steps in the order in which they happened."""

    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None
    progress: int = Field(ge=0, le=100)
    steps: list[Step]


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
    next_cursor: None = None


class Health(ApiModel):
    status: Literal["live", "ready"]
