"""What the routes of operations take and answer."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from functions.operations.actions import Note
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
from orders.events import Queue
from orders.executions import ExecutionStatus
from orders.http import ApiModel, ApiRequest
from orders.payments.gateway import GatewayStatus


class QueueDepth(ApiModel):
    """Messages as SQS counts them: approximately."""

    visible: int
    in_flight: int = Field(description="Received, and neither deleted nor given back yet")
    delayed: int


class QueueState(ApiModel):
    name: Queue
    queue: QueueDepth
    dlq: QueueDepth


class QueueList(ApiModel):
    items: list[QueueState]
    next_cursor: None = None


class DeadMessage(ApiModel):
    """A message that was given up, and why as far as can be told."""

    message_id: str
    received: int = Field(description="Deliveries so far, also by looking at it")
    sent_at: datetime
    event_id: UUID | None
    event_type: str | None
    order_id: UUID | None
    order_status: OrderStatus | None
    correlation_id: str | None = Field(description="Finds its log lines")
    cause: str = Field(description="A code; docs/operations.md has a section for each")
    explanation: str
    errors: list[str] = Field(description="Codes of what went wrong, oldest first; never content")


class DeadMessageList(ApiModel):
    """Some of the messages, in no order: SQS knows none."""

    items: list[DeadMessage]
    next_cursor: None = None


class Redrive(ApiRequest):
    """One message, or all of them."""

    message_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    note: Note | None = None


class RedriveResult(ApiModel):
    queue: Queue
    moved: int | None = Field(description="null: SQS has begun to move them by itself")
    failed: int = Field(description="Messages that could not be sent, and are where they were")
    more: bool = Field(description="There was no time for all of them: ask again")


class WithNote(ApiRequest):
    note: Note


class MaybeNote(ApiRequest):
    note: Note | None = None


class Closing(ApiRequest):
    """How an order under review ends."""

    status: Literal["CONFIRMED", "CANCELLED"]
    note: Note


class Discarded(ApiModel):
    queue: Queue
    message_id: str


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


class DeadEvent(ApiModel):
    event_id: UUID
    type: str
    order_id: UUID
    correlation_id: str
    attempts: int
    last_error: str | None
    created_at: datetime


class DeadEventList(ApiModel):
    """Oldest first."""

    items: list[DeadEvent]
    next_cursor: str | None


class EventRedriven(ApiModel):
    event_id: UUID
    status: Literal["PENDING"] = "PENDING"


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


class HealthPart(ApiModel):
    """`down` says that the part does not answer, `degraded` that somebody should look at it."""

    status: Literal["up", "degraded", "down", "unknown"]


class DatabaseHealth(HealthPart):
    latency_ms: float | None = Field(description="Of one statement")
    pool_size: int = Field(description="Connections that this process may have")
    pool_in_use: int
    connections: int | None = Field(description="Of all processes, in the database")
    max_connections: int | None


class QueueHealth(HealthPart):
    queues: list[QueueState]


class RelayHealth(HealthPart):
    pending: int | None = Field(description="Events that are due and not published yet")
    lag_seconds: float | None = Field(description="How long the oldest of them has been due")
    dead: int | None


class MemoryHealth(HealthPart):
    used_mb: int
    limit_mb: int


class DiskHealth(HealthPart):
    used_mb: int
    free_mb: int


class CircuitHealth(HealthPart):
    state: Literal["CLOSED", "OPEN", "PROBING"] | None
    failures: int | None = Field(description="In a row, over all processes")


class OrdersHealth(HealthPart):
    pending: int | None
    processing: int | None
    needs_review: int | None


class DetailedHealth(HealthPart):
    """The status is that of the worst part; it is told with 200 all the same."""

    database: DatabaseHealth
    queues: QueueHealth
    relay: RelayHealth
    memory: MemoryHealth
    disk: DiskHealth
    payment_gateway: CircuitHealth
    orders: OrdersHealth
