"""What a customer's server gets: a thin event about the order, and the headers that prove where it comes from."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from standardwebhooks import Webhook

from orders.domain import OrderStatus
from orders.events import SOURCE, CloudEvent, OrderEnded, OrderRefunded
from orders.told_failure import ToldFailureReason

USER_AGENT: Final = "orders-webhooks/1"


class EndedOrder(BaseModel):
    """The order as it ended, without its contact data. A field may be added, none is changed or taken away."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    order_id: UUID
    status: OrderStatus
    failure_reason: ToldFailureReason
    total_amount: int
    """Minor units of `currency`."""
    currency: str
    created_at: datetime


class RefundedOrder(BaseModel):
    """One refund of an order. Amounts are in minor units of `currency`."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    order_id: UUID
    status: OrderStatus
    refund_id: UUID
    amount: int
    """Of this refund."""
    refunded_amount: int
    """Of all refunds of the order up to this one."""
    total_amount: int
    currency: str
    created_at: datetime
    """When the order was placed."""


class WebhookBody(BaseModel):
    """A CloudEvent, without what only concerns our own queues."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    """The same in each attempt, and in the header `webhook-id`: receivers deduplicate by it."""
    source: str = SOURCE
    type: str
    subject: UUID
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: EndedOrder | RefundedOrder


def body_of(event: CloudEvent, told: OrderEnded | OrderRefunded) -> str:
    """The JSON that is sent, and kept: every attempt sends the same bytes."""
    summary: EndedOrder | RefundedOrder
    if isinstance(told, OrderRefunded):
        summary = RefundedOrder(order_id=event.subject, status=OrderStatus.CONFIRMED, **vars(told))
    else:
        summary = EndedOrder(
            order_id=event.subject,
            status=told.status,
            failure_reason=told.failure_reason,
            total_amount=told.total_amount,
            currency=told.currency,
            created_at=told.created_at,
        )
    body = WebhookBody(id=event.id, type=event.type, subject=event.subject, time=event.time, data=summary)
    return body.model_dump_json(by_alias=True)


def headers_of(event_id: UUID, body: str, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers of one attempt, signed with each of the secrets (Standard Webhooks)."""
    signatures = [Webhook(secret).sign(str(event_id), now, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
