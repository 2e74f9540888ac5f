"""An order's whole story in the order of time, from all that is recorded of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import text

from functions.operations.orders import records, sagas
from functions.operations.orders.records import OrderRecords
from functions.operations.orders.sagas import (
    EXECUTIONS_PER_PAGE,
    ExecutionReport,
    ExecutionSummary,
    StateVisit,
)
from functions.operations.refunds.records import RefundRecord
from orders.aws import sdk_calls
from orders.db import Database
from orders.domain import MovementKind
from orders.errors import ServiceUnavailable
from orders.executions import Executions, ExecutionStatus
from orders.http import ApiModel
from orders.observability import logger
from orders.webhooks.states import DeliveryStatus

STORY: Final = text("""
    SELECT CAST(jsonb_build_object(
        'movements', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'productId', product_id, 'kind', kind, 'quantity', quantity, 'refundId', refund_id, 'at', created_at)
                ORDER BY id)
            FROM stock_movements WHERE order_id = :order_id
                OR refund_id = ANY (ARRAY(SELECT refund.id FROM refunds AS refund WHERE refund.order_id = :order_id))
            ), '[]'),
        'deliveries', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'deliveryId', id, 'webhookId', endpoint_id, 'eventId', event_id, 'eventType', event_type,
                'status', status, 'attempts', attempts, 'lastStatus', last_status, 'lastError', last_error,
                'nextAttemptAt', next_attempt_at, 'createdAt', created_at, 'deliveredAt', delivered_at) ORDER BY id)
            FROM webhook_deliveries WHERE order_id = :order_id), '[]'),
        'paymentAction', (
            SELECT jsonb_build_object('type', type, 'createdAt', created_at, 'expiresAt', expires_at,
                                      'endedAt', ended_at)
            FROM payment_actions WHERE order_id = :order_id)
    ) AS text)
""")
"""What `records.RECORDS` leaves out of an order."""

Kind = Literal[
    "order",
    "execution",
    "state",
    "step",
    "payment",
    "payment_action",
    "stock",
    "event",
    "notification",
    "webhook",
    "cancellation",
    "refund",
    "dispute",
    "repair",
    "operator_action",
]


class Accepted(ApiModel):
    """What the request asked for."""

    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    items: list[records.LineRecord]
    correlation_id: str


class MovementRecord(ApiModel):
    product_id: UUID
    kind: MovementKind
    quantity: int
    refund_id: UUID | None
    at: datetime


class DeliveryRecord(ApiModel):
    """One event on its way to one of the customer's webhooks."""

    delivery_id: UUID
    webhook_id: UUID
    event_id: UUID
    event_type: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None
    last_error: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


class PaymentActionRecord(ApiModel):
    """What the customer had to do at the payment provider, e.g. to authenticate."""

    type: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = Field(description="When it had been done, or was of no use any more")


class TimelineItem(ApiModel):
    """One thing that happened. `kind` says what `detail` is."""

    time: datetime = Field(description="When it began; when it was sent, of what was sent")
    kind: Kind
    title: str
    status: str = Field(description="How it stands now, in the terms of its kind")
    detail: (
        Accepted
        | ExecutionSummary
        | StateVisit
        | records.StepRecord
        | records.PaymentRecord
        | PaymentActionRecord
        | MovementRecord
        | records.EventRecord
        | records.NotificationRecord
        | DeliveryRecord
        | records.CancellationRecord
        | RefundRecord
        | records.DisputeRecord
        | records.RepairRecord
        | records.ActionRecord
    )


class Timeline(ApiModel):
    """An order's story, oldest first."""

    order_id: UUID
    items: list[TimelineItem]
    executions_known: bool = Field(
        description=f"Whether its executions are among the items: the newest {EXECUTIONS_PER_PAGE}. false: Step "
        "Functions did not answer"
    )


class _Story(ApiModel):
    movements: list[MovementRecord]
    deliveries: list[DeliveryRecord]
    payment_action: PaymentActionRecord | None


def read_timeline(database: Database, executions: Executions, order_id: UUID) -> Timeline:
    """All that happened to an order, by two statements, and by what Step Functions tells if it answers.

    Raises:
        OrderNotFound: there is no such order.
        DatabaseUnavailable: try again.
    """
    order = records.read_records(database, order_id)
    found = database.transact_alone(lambda connection: connection.scalar(STORY, {"order_id": order_id}))
    story = _Story.model_validate_json(found)
    try:
        with sdk_calls("Step Functions"):
            reports = [*sagas.newest_executions(executions, order_id, order.executions)]
        is_known = True
    except ServiceUnavailable:
        logger.warning("The time line is without executions", order_id=str(order_id), exc_info=True)
        reports, is_known = [], False
    items = [*_of_order(order), *_of_executions(reports), *_of_records(order), *_of_story(story)]
    return Timeline(
        order_id=order_id,
        # Of the same moment, what caused comes before what was caused.
        items=sorted(items, key=lambda item: item.time),
        executions_known=is_known,
    )


def _of_order(order: OrderRecords) -> Iterator[TimelineItem]:
    yield TimelineItem(
        time=order.created_at,
        kind="order",
        title="Order accepted",
        status=order.status,
        detail=Accepted.of(vars(order)),
    )


def _of_executions(reports: list[ExecutionReport]) -> Iterator[TimelineItem]:
    for report in reports:
        if report.started_at is None:
            continue
        yield TimelineItem(
            time=report.started_at,
            kind="execution",
            title=f"Execution {report.name}",
            status=report.status,
            detail=ExecutionSummary.of(vars(report)),
        )
        for visit in report.states:
            yield TimelineItem(
                time=visit.entered_at,
                kind="state",
                title=f"State {visit.state}",
                status=_status_of(visit, report.status),
                detail=visit,
            )


def _status_of(visit: StateVisit, execution: ExecutionStatus) -> str:
    if visit.exited_at is None:
        return "RUNNING" if execution.is_live else "FAILED"
    return "PASSED_WITH_ERRORS" if visit.errors else "PASSED"


def _of_records(order: OrderRecords) -> Iterator[TimelineItem]:
    for event in order.events:
        name = event.type.removeprefix("com.orders.").rpartition(".v")[0]
        yield TimelineItem(
            time=event.created_at, kind="event", title=f"Event {name}", status=event.status, detail=event
        )
    for step in order.steps:
        yield TimelineItem(
            time=step.at, kind="step", title=f"Step {step.name}", status=step.status, detail=step
        )
    if order.payment:
        payment = order.payment
        yield TimelineItem(
            time=payment.updated_at, kind="payment", title="Payment", status=payment.status, detail=payment
        )
    for notification in order.notifications:
        yield TimelineItem(
            time=notification.sent_at or notification.queued_at,
            kind="notification",
            title=f"Notification {notification.type} by {notification.channel}",
            status=notification.status,
            detail=notification,
        )
    if order.cancellation:
        yield TimelineItem(
            time=order.cancellation.requested_at,
            kind="cancellation",
            title="Cancellation requested",
            status="REQUESTED",
            detail=order.cancellation,
        )
    for refund in order.refunds:
        moments = {
            "Refund requested": refund.created_at,
            "Refund given back by the payment provider": refund.refunded_at,
            "Refund completed": refund.completed_at,
        }
        for title, moment in moments.items():
            if moment is not None:
                yield TimelineItem(
                    time=moment, kind="refund", title=title, status=refund.status, detail=refund
                )
    for dispute in order.disputes:
        yield TimelineItem(
            time=dispute.created_at, kind="dispute", title="Dispute", status=dispute.status, detail=dispute
        )
    for repair in order.repairs:
        yield TimelineItem(
            time=repair.at, kind="repair", title="Repaired by the system", status=repair.kind, detail=repair
        )
    for action in order.actions:
        yield TimelineItem(
            time=action.at,
            kind="operator_action",
            title="Operator's action",
            status=action.action,
            detail=action,
        )


def _of_story(story: _Story) -> Iterator[TimelineItem]:
    for movement in story.movements:
        units = "1 unit" if abs(movement.quantity) == 1 else f"{abs(movement.quantity)} units"
        yield TimelineItem(
            time=movement.at, kind="stock", title=f"Stock: {units}", status=movement.kind, detail=movement
        )
    if story.payment_action:
        action = story.payment_action
        yield TimelineItem(
            time=action.created_at,
            kind="payment_action",
            title=f"The customer must act on the payment: {action.type}",
            status="OPEN" if action.ended_at is None else "ENDED",
            detail=action,
        )
    for delivery in story.deliveries:
        yield TimelineItem(
            time=delivery.delivered_at or delivery.created_at,
            kind="webhook",
            title=f"Webhook {delivery.event_type}",
            status=delivery.status,
            detail=delivery,
        )
