"""What our tables hold of orders, for operators: no contact data and no payment method."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import text

from functions.operations.refunds import records as refunds
from functions.operations.refunds.records import RefundRecord
from orders.db import Database
from orders.domain import (
    Channel,
    FailureReason,
    Notification,
    NotificationStatus,
    OrderStatus,
    PaymentStatus,
    ReservationStatus,
    SagaStep,
    StepOutcome,
    StepStatus,
)
from orders.errors import OrderNotFound
from orders.history import Books
from orders.http import ApiModel
from orders.ids import parse_uuid
from orders.order_lines import PRODUCT_NAME
from orders.payments.gateway import DisputeStatus


def id_at(time: str, rest: str) -> str:
    """SQL for the first (`rest` is 0) or last (f) UUIDv7 of a moment."""
    milliseconds = f"CAST(1000 * extract(epoch FROM {time}) AS bigint)"
    return f"CAST(lpad(to_hex({milliseconds}), 12, '0') || repeat('{rest}', 20) AS uuid)"


# Nothing finds an outbox row by its order, and an index for it would cost every order: but ids of events begin with
# their time, and an order's events are written while it is alive. A minute for clocks that differ, on both sides.
_FIRST_ID: Final = id_at("orders.created_at - interval '1 minute'", "0")
_LAST_ID: Final = id_at("orders.updated_at + interval '1 minute'", "f")
# Those of a refund are written in the moments that its row knows of.
_AROUND: Final = (
    id_at("moment.at - interval '1 minute'", "0") + " AND " + id_at("moment.at + interval '1 minute'", "f")
)

RECORDS: Final = text(f"""
    SELECT CAST(jsonb_build_object(
        'orderId', orders.id, 'status', orders.status, 'failureReason', orders.failure_reason,
        'totalAmount', orders.total_amount, 'currency', orders.currency,
        'createdAt', orders.created_at, 'updatedAt', orders.updated_at, 'correlationId', orders.correlation_id,
        'executions', 1 + coalesce((SELECT resumes FROM saga_recoveries WHERE order_id = orders.id), 0),
        'items', (
            SELECT jsonb_agg(jsonb_build_object(
                'productId', product_id, 'productName', {PRODUCT_NAME}, 'quantity', quantity, 'unitPrice', unit_price)
                ORDER BY line_no)
            FROM order_items AS item WHERE order_id = orders.id),
        'steps', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'name', step, 'status', status, 'attempts', attempts, 'error', error, 'at', at) ORDER BY at, step)
            FROM saga_steps WHERE order_id = orders.id), '[]'),
        'payment', (
            SELECT jsonb_build_object(
                'status', status, 'amount', amount, 'captured', captured, 'refunded', refunded, 'attempts', attempts,
                'providerKey', provider_key, 'providerPaymentId', provider_payment_id, 'createdAt', created_at,
                'updatedAt', updated_at)
            FROM payments WHERE order_id = orders.id),
        'reservations', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'productId', product_id, 'quantity', quantity, 'returned', returned, 'status', status,
                'expiresAt', expires_at)
                ORDER BY product_id)
            FROM reservations WHERE order_id = orders.id), '[]'),
        'events', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'eventId', id, 'type', type, 'status', status, 'attempts', attempts, 'lastError', last_error,
                'createdAt', created_at, 'publishedAt', published_at) ORDER BY id)
            FROM (
                SELECT * FROM outbox WHERE subject = orders.id AND id BETWEEN {_FIRST_ID} AND {_LAST_ID}
                UNION
                SELECT outbox.* FROM refunds AS refund CROSS JOIN LATERAL (
                    VALUES (refund.created_at), (refund.refunded_at), (refund.updated_at)
                ) AS moment (at) JOIN outbox ON outbox.subject = orders.id AND outbox.id BETWEEN {_AROUND}
                WHERE refund.order_id = orders.id
            ) AS event), '[]'),
        'refunds', coalesce((
            SELECT jsonb_agg({refunds.RECORD} ORDER BY refund.id)
            FROM refunds AS refund WHERE refund.order_id = orders.id), '[]'),
        'disputes', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'providerDisputeId', provider_dispute_id, 'amount', amount, 'currency', currency, 'reason', reason,
                'status', status, 'createdAt', created_at, 'updatedAt', updated_at) ORDER BY created_at)
            FROM payment_disputes WHERE order_id = orders.id), '[]'),
        'notifications', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'type', type, 'channel', channel, 'status', status, 'attempts', attempts, 'providerId', provider_id,
                'error', error, 'queuedAt', created_at, 'sentAt', sent_at, 'refundId', refund_id)
                ORDER BY created_at, type, channel)
            FROM notifications WHERE order_id = orders.id
                OR refund_id = ANY (ARRAY(SELECT refund.id FROM refunds AS refund WHERE refund.order_id = orders.id))
            ), '[]'),
        'cancellation', (
            SELECT jsonb_build_object(
                'requestedBy', requested_by, 'refundId', refund_id, 'requestedAt', created_at)
            FROM order_cancellations WHERE order_id = orders.id),
        'repairs', coalesce((
            SELECT jsonb_agg(jsonb_build_object('kind', kind, 'detail', detail, 'at', created_at) ORDER BY repairs.id)
            FROM repairs WHERE order_id = orders.id), '[]'),
        'actions', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'action', action, 'operator', operator, 'note', note, 'detail', detail, 'at', created_at)
                ORDER BY operator_actions.id)
            FROM operator_actions WHERE order_id = orders.id), '[]')
    ) AS text)
    FROM orders WHERE orders.id = :order_id
""")


class AdminOrder(ApiModel):
    """An order as lists show it: no contact data, and no payment method."""

    order_id: UUID
    status: OrderStatus
    failure_reason: FailureReason | None
    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    correlation_id: str = Field(description="Finds its log lines")
    created_at: datetime
    updated_at: datetime


class LineRecord(ApiModel):
    product_id: UUID
    product_name: str = Field(description="As it was called when the order was placed")
    quantity: int
    unit_price: int = Field(description="What one cost when the order was placed, in minor units")


class StepRecord(ApiModel):
    name: SagaStep
    status: StepOutcome = Field(description="SKIPPED: there was nothing to do, e.g. nothing to refund")
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
    created_at: datetime
    updated_at: datetime


class DisputeRecord(ApiModel):
    """A charge that the customer's bank contests, as it stood at the payment provider when we asked last."""

    provider_dispute_id: str
    amount: int = Field(description="Minor units of `currency`")
    currency: str
    reason: str = Field(description="In the provider's terms", examples=["fraudulent"])
    status: DisputeStatus = Field(description="OPEN: respond at the provider, within its deadline")
    created_at: datetime
    updated_at: datetime


class ReservationRecord(ApiModel):
    product_id: UUID
    quantity: int
    returned: int = Field(description="Units that are back in stock, after a refund")
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
    queued_at: datetime
    sent_at: datetime | None
    refund_id: UUID | None = Field(description="The refund that it tells of")


class CancellationRecord(ApiModel):
    """What the order's customer, or an administrator for them, has asked for."""

    requested_by: str = Field(description="The account's id")
    refund_id: UUID | None = Field(description="The refund, if the order was confirmed before")
    requested_at: datetime


class OrderRecords(AdminOrder):
    """All that our tables hold of an order, but for who ordered and how they pay."""

    executions: int = Field(description="How many executions it has had, the first one included")
    items: list[LineRecord]
    steps: list[StepRecord]
    payment: PaymentRecord | None
    reservations: list[ReservationRecord]
    events: list[EventRecord]
    notifications: list[NotificationRecord]
    refunds: list[RefundRecord]
    disputes: list[DisputeRecord]
    cancellation: CancellationRecord | None
    repairs: list[RepairRecord]
    actions: list[ActionRecord]


def parse_order_id(order_id: str) -> UUID:
    """The id of an order as it stands in an address.

    Raises:
        OrderNotFound: no order can have such an id.
    """
    uuid = parse_uuid(order_id)
    if uuid is None:
        raise OrderNotFound("There is no such order")
    return uuid


def read_records(database: Database, order_id: UUID) -> OrderRecords:
    """All that our tables hold of one order, in one statement.

    Raises:
        OrderNotFound: there is no such order.
        DatabaseUnavailable: try again.
    """
    found = database.transact_alone(lambda connection: connection.scalar(RECORDS, {"order_id": order_id}))
    if found is None:
        raise OrderNotFound("There is no such order")
    records = OrderRecords.model_validate_json(found)
    payment = records.payment
    books = Books(
        records.status,
        payment.captured if payment else 0,
        payment.refunded if payment else 0,
        {reservation.status for reservation in records.reservations},
    )
    steps = [
        step.model_copy(update={"status": books.outcome(step.name, StepStatus(step.status))})
        for step in records.steps
    ]
    return records.model_copy(update={"steps": steps})
