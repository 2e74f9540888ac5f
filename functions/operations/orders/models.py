"""What the routes of orders take and return."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from functions.operations.operator_actions import Note
from orders.domain import (
    Channel,
    FailureReason,
    Notification,
    NotificationStatus,
    OrderStatus,
    PaymentStatus,
    ReservationStatus,
    SagaStep,
    StepStatus,
)
from orders.executions import ExecutionStatus
from orders.http import ApiModel, ApiRequest
from orders.payments.gateway import GatewayStatus


class Closing(ApiRequest):
    """How an order under review ends."""

    status: Literal["CONFIRMED", "CANCELLED"]
    note: Note


class OpenOrder(ApiModel):
    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None
    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    created_at: datetime
    updated_at: datetime


class OpenOrderList(ApiModel):
    """Oldest first."""

    items: list[OpenOrder]
    next_cursor: str | None


class LineRecord(ApiModel):
    product_id: UUID
    quantity: int


class StepRecord(ApiModel):
    name: SagaStep
    status: StepStatus
    attempts: int
    error: str | None
    at: datetime


class PaymentRecord(ApiModel):
    """Our record of the payment; amounts in minor units of the order's currency."""

    status: PaymentStatus
    amount: int
    captured: int
    refunded: int
    attempts: int
    provider_key: str
    provider_payment_id: str | None
    updated_at: datetime


class ReservationRecord(ApiModel):
    product_id: UUID
    quantity: int
    status: ReservationStatus
    expires_at: datetime


class RepairRecord(ApiModel):
    kind: str
    detail: str
    at: datetime


class ActionRecord(ApiModel):
    action: str
    operator: str
    note: str
    detail: str
    at: datetime


class EventRecord(ApiModel):
    event_id: UUID
    type: str
    status: Literal["PENDING", "PUBLISHED", "DEAD"]
    attempts: int
    last_error: str | None
    created_at: datetime
    published_at: datetime | None


class NotificationRecord(ApiModel):
    type: Notification
    channel: Channel
    status: NotificationStatus
    attempts: int
    provider_id: str | None
    error: str | None
    sent_at: datetime | None


class OrderRecords(OpenOrder):
    """All that our tables hold of an order, but for who ordered and how they pay."""

    correlation_id: str
    executions: int = Field(description="How many executions it has had, the first one included")
    items: list[LineRecord]
    steps: list[StepRecord]
    payment: PaymentRecord | None
    reservations: list[ReservationRecord]
    events: list[EventRecord]
    notifications: list[NotificationRecord]
    repairs: list[RepairRecord]
    actions: list[ActionRecord]


class ExecutionSummary(ApiModel):
    name: str
    status: ExecutionStatus
    started_at: datetime | None
    stopped_at: datetime | None
    error: str | None = Field(description="The name of what ended it")


class GatewayRecord(ApiModel):
    """What the payment gateway says of the order's payment."""

    status: GatewayStatus | Literal["NONE", "UNAVAILABLE"]


class OrderReport(ApiModel):
    """An order with everything around it, and what an operator may do to it now."""

    order: OrderRecords
    execution: ExecutionSummary = Field(description="The newest one")
    gateway: GatewayRecord | None = Field(description="null: the order has no payment")
    actions: list[Literal["resume", "close as CONFIRMED", "close as CANCELLED"]] = Field(
        description="What an operator may do now"
    )


class Resumed(ApiModel):
    order_id: UUID
    status: OrderStatus
    execution: str = Field(description="The name of the execution that goes on with it")
    started: bool = Field(description="false: maintenance starts it, within two minutes")


class Closed(ApiModel):
    order_id: UUID
    status: OrderStatus


class StateVisit(ApiModel):
    """One state that an execution passed, with the attempts that failed in it."""

    state: str
    entered_at: datetime
    exited_at: datetime | None
    errors: list[str]


class ExecutionReport(ExecutionSummary):
    states: list[StateVisit]


class ExecutionList(ApiModel):
    """Newest first."""

    items: list[ExecutionReport]
    next_cursor: str | None
