"""What the routes of the outbox return."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from orders.http import ApiModel


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
