"""What the routes of queues take and return."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from functions.operations.operator_actions import Note
from orders.domain import OrderStatus
from orders.events import Queue
from orders.http import ApiModel, ApiRequest


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


class Discarded(ApiModel):
    queue: Queue
    message_id: str
