"""Request and response of `POST /orders/{orderId}/cancellation`."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from orders.domain import CancellationOutcome, OrderStatus
from orders.http import ApiModel, ApiRequest
from orders.operator_actions import Note


class CancelOrder(ApiRequest):
    note: Note | None = Field(
        None, description="Why. It is kept if an administrator cancels another user's order"
    )


class CancellationAccepted(ApiModel):
    order_id: UUID
    status: OrderStatus = Field(description="Of the order, as it is now. A confirmed order stays CONFIRMED")
    outcome: CancellationOutcome = Field(
        description="CANCELLING: the order is cancelled at its next step, and what was paid is returned. REFUNDING: "
        "it was confirmed already, and everything that was paid is refunded"
    )
    refund_id: UUID | None = Field(description="The refund, if the order was confirmed already")
    requested_at: datetime = Field(description="When the cancellation was first asked for")
