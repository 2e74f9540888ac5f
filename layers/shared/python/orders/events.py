"""The event catalogue: what may be written to the outbox, and which queue each type goes to.

Events are CloudEvents 1.0 in JSON. They are named in the past tense, versioned in their type, and carry ids, never
personal data: a consumer reads the rest from the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orders.domain import Channel, FailureReason, Notification, OrderStatus

SOURCE: Final = "/orders"

_MAX_COUNT: Final = 2**31 - 1
_MAX_AMOUNT: Final = 2**63 - 1
"""What a column of Postgres holds: `integer`, `bigint`."""


@dataclass(frozen=True)
class Trace:
    """What follows an order through the system: the caller's correlation id, and the W3C trace context as a
    `traceparent`."""

    correlation_id: str
    traceparent: str


class Queue(StrEnum):
    """The queues; each has a dead-letter queue beside it. The relay sends to `EVENT_QUEUES` only."""

    ORDER_PROCESSING = "order-processing"
    PAYMENT_PROCESSING = "payment-processing"
    INVENTORY_MANAGEMENT = "inventory-management"
    NOTIFICATION_SENDING = "notification-sending"
    WEBHOOK_DELIVERY = "webhook-delivery"
    MAIL_FEEDBACK = "mail-feedback"
    """What SES tells of mails that it took; see `orders.mail_feedback`."""
    PAYMENT_WEBHOOKS = "payment-webhooks"
    """What the payment provider's webhooks said: hints, and no events of ours (`orders.payments.webhooks`)."""


class Consumer(StrEnum):
    """Who records in the inbox which events it has worked on. `start_saga` does not: an execution has its order's name.

    Rows of the inbox keep these names, so they never change.
    """

    PAYMENT_EVENTS = "payment-events"
    INVENTORY_EVENTS = "inventory-events"
    NOTIFY = "notify"
    DELIVER_WEBHOOKS = "deliver_webhooks"
    PROVIDER_EVENTS = "provider-events"


CONSUMER_OF: Final[Mapping[Queue, Consumer]] = {
    Queue.PAYMENT_PROCESSING: Consumer.PAYMENT_EVENTS,
    Queue.INVENTORY_MANAGEMENT: Consumer.INVENTORY_EVENTS,
    Queue.NOTIFICATION_SENDING: Consumer.NOTIFY,
    Queue.WEBHOOK_DELIVERY: Consumer.DELIVER_WEBHOOKS,
    Queue.PAYMENT_WEBHOOKS: Consumer.PROVIDER_EVENTS,
}


class EventData(BaseModel):
    """Base of the payloads in `data`. The subject of an event is its order's id, unless its type says otherwise."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        # At the first use: a cold start imports them all, and a function uses one or two.
        defer_build=True,
    )

    type: ClassVar[str]
    queue: ClassVar[Queue]
    is_of_order: ClassVar[bool] = True
    """Whether the subject is an order's id."""


class ExecutionRequested(EventData):
    """Base of what starts an execution of a state machine."""

    queue = Queue.ORDER_PROCESSING


class OrderCreated(ExecutionRequested):
    """An order was accepted; its saga may start."""

    type = "com.orders.order.created.v1"

    total_amount: int = Field(ge=0, le=_MAX_AMOUNT, description="Minor units of `currency`")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217")


class RefundRequested(ExecutionRequested):
    """A refund of a confirmed order was granted; it may be carried out."""

    type = "com.orders.refund.requested.v1"

    refund_id: UUID


class MessageRequested(EventData):
    """Base of what asks for one mail or one text message."""

    queue = Queue.NOTIFICATION_SENDING


class NotificationRequested(MessageRequested):
    """The customer is to be told something on one channel, once."""

    type = "com.orders.notification.requested.v1"

    notification: Notification
    # The default is for events from before there was more than one.
    channel: Channel = Channel.EMAIL
    refund_id: UUID | None = Field(
        default=None, description="For `order_refunded`: which of the order's refunds"
    )


class ConfirmationCodeRequested(MessageRequested):
    """Whoever reads a recipient's address is to get the code that confirms it. The subject is the recipient's id; the
    code is derived from it and from the version."""

    type = "com.orders.recipient.code_requested.v1"
    is_of_order = False

    version: int = Field(ge=1, description="Which of the recipient's codes it is")


class PaymentEvent(EventData):
    """Money moved at the payment gateway, as far as we know."""

    queue = Queue.PAYMENT_PROCESSING

    amount: int = Field(gt=0, le=_MAX_AMOUNT, description="Minor units of `currency`")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217")


class PaymentCaptured(PaymentEvent):
    """The order's payment was captured."""

    type = "com.orders.payment.captured.v1"


class PaymentRefunded(PaymentEvent):
    """Money of the order's payment was given back: `amount` of it."""

    type = "com.orders.payment.refunded.v1"


class InventoryReserved(EventData):
    """Every line of the order is held back from other buyers."""

    type = "com.orders.inventory.reserved.v1"
    queue = Queue.INVENTORY_MANAGEMENT

    ttl_seconds: int = Field(
        ge=1, le=_MAX_COUNT, description="How long, from the event's time on, unless a payment is in flight"
    )


class WebhookEvent(EventData):
    """Base of what the delivery of webhooks works on."""

    queue = Queue.WEBHOOK_DELIVERY


class OrderEnded(WebhookEvent):
    """Base of what an order's owner is told when its saga is over."""

    status: ClassVar[OrderStatus]

    failure_reason: FailureReason | None
    total_amount: int = Field(gt=0, le=_MAX_AMOUNT, description="Minor units of `currency`")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217")
    created_at: datetime = Field(description="When the order was placed")


class OrderConfirmed(OrderEnded):
    """The order is paid for and its stock is sold."""

    type = "com.orders.order.confirmed.v1"
    status = OrderStatus.CONFIRMED


class OrderCancelled(OrderEnded):
    """The order was undone: no money and no stock of it is held."""

    type = "com.orders.order.cancelled.v1"
    status = OrderStatus.CANCELLED


class OrderReviewRequired(OrderEnded):
    """The order could be neither confirmed nor undone: an operator looks at it."""

    type = "com.orders.order.review_required.v1"
    status = OrderStatus.NEEDS_REVIEW


class OrderRefunded(WebhookEvent):
    """Money of a confirmed order was given back, all of it or a part. The order stays confirmed."""

    type = "com.orders.order.refunded.v1"
    status: ClassVar[OrderStatus] = OrderStatus.CONFIRMED

    refund_id: UUID
    amount: int = Field(gt=0, le=_MAX_AMOUNT, description="Of this refund, in minor units of `currency`")
    refunded_amount: int = Field(
        gt=0, le=_MAX_AMOUNT, description="Of all refunds of the order up to this one, in the same"
    )
    total_amount: int = Field(gt=0, le=_MAX_AMOUNT, description="Of the order, in the same")
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217")
    created_at: datetime = Field(description="When the order was placed")


class WebhookAttemptScheduled(WebhookEvent):
    """A webhook is to be sent, now or when the event becomes due."""

    type = "com.orders.webhook.attempt_scheduled.v1"

    delivery_id: UUID
    attempt: int = Field(ge=1, le=_MAX_COUNT, description="Which attempt of this delivery it is")
    postponed: int = Field(
        default=0, ge=0, le=_MAX_COUNT, description="How often this attempt was put off for others' sake"
    )


CATALOGUE: Final[dict[str, type[EventData]]] = {
    event.type: event
    for event in (
        OrderCreated,
        RefundRequested,
        NotificationRequested,
        ConfirmationCodeRequested,
        PaymentCaptured,
        PaymentRefunded,
        InventoryReserved,
        OrderConfirmed,
        OrderCancelled,
        OrderReviewRequired,
        OrderRefunded,
        WebhookAttemptScheduled,
    )
}


EVENT_QUEUES: Final = tuple(
    queue for queue in Queue if any(event.queue is queue for event in CATALOGUE.values())
)
"""The queues of the outbox's events. What comes through another one was written by somebody else."""


class CloudEvent(BaseModel):
    """The envelope on the queue. `id` is the outbox row's id: consumers deduplicate by it."""

    # A malformed message may hold anything, and an error's text ends in a log.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str = SOURCE
    type: str
    subject: UUID
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: str
    traceparent: str
    data: dict[str, Any]

    @property
    def trace(self) -> Trace:
        return Trace(self.correlationid, self.traceparent)

    def payload(self) -> EventData:
        """The typed `data`.

        Raises:
            KeyError: the type is not in the catalogue.
            pydantic.ValidationError: the data does not fit its type's schema.
        """
        return CATALOGUE[self.type].model_validate(self.data)
