"""What an operator may do to an order now, and why they may not do the rest. The rules are those of the actions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection, text

from orders import cancellations, closing, notifications, refunds
from orders.cancellations import CancellationState
from orders.closing import Finding
from orders.db import Database
from orders.domain import FailureReason, MailFeedback, Notification, NotificationStatus, OrderStatus
from orders.errors import OrderNotFound
from orders.executions import ExecutionStatus
from orders.http import ApiModel
from orders.suppressed_addresses import reason_of
from orders.webhooks.states import TEST_EVENT_TYPE, EndpointStatus

PossibleAction = Literal[
    "resume",
    "close as CONFIRMED",
    "close as CANCELLED",
    "cancel",
    "refund",
    "resend a notification",
    "redeliver a webhook",
]

_LOOK: Final = text(f"""
    SELECT orders.status, orders.failure_reason, orders.contact_email IS NULL AS is_erased,
           {reason_of("orders.contact_email")} AS suppressed, {cancellations.COLUMNS},
           coalesce((
               SELECT jsonb_agg(jsonb_build_object(
                   'type', type, 'channel', channel, 'status', status, 'leased', lease_until > now()))
               FROM notifications WHERE order_id = orders.id OR refund_id = ANY (ARRAY(
                   SELECT refund.id FROM refunds AS refund WHERE refund.order_id = orders.id))
           ), '[]') AS messages,
           ARRAY(
               SELECT endpoint.status FROM webhook_deliveries AS delivery
                   JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
               WHERE delivery.order_id = orders.id AND delivery.event_type <> '{TEST_EVENT_TYPE}'
           ) AS endpoints
    FROM orders {cancellations.JOIN}
    WHERE orders.id = :order_id
""")


class Possibility(ApiModel):
    """One action, and whether it may be done now."""

    action: PossibleAction
    is_possible: bool
    reason: str | None = Field(
        description="Why not; null: it may", examples=["The order is CONFIRMED: it does not need review"]
    )


def look(
    database: Database,
    order_id: UUID,
    *,
    findings: Sequence[Finding],
    execution: ExecutionStatus,
    cancellation_window_minutes: int,
) -> list[Possibility]:
    """All actions in their order. `findings` are those of an order under review, `execution` is its newest one.

    Raises:
        OrderNotFound: there is no such order.
        DatabaseUnavailable: try again.
    """
    asked = {"order_id": order_id, "cancellation_window_minutes": cancellation_window_minutes}

    def work(connection: Connection) -> dict[PossibleAction, str | None]:
        row = connection.execute(_LOOK, asked).first()
        if row is None:
            raise OrderNotFound("There is no such order")
        status = OrderStatus(row.status)
        refused = refunds.refusal(connection, order_id)
        no_refund = None if refused is None else str(refused)
        reason = FailureReason(row.failure_reason) if row.failure_reason else None
        return {
            **_of_review(status, findings, execution),
            "cancel": _cancel(CancellationState.of(row), reason, no_refund),
            "refund": no_refund,
            "resend a notification": _resend(row.messages, status, row.is_erased, row.suppressed),
            "redeliver a webhook": _redeliver(row.endpoints),
        }

    reasons = database.transact(work)
    return [
        Possibility(action=action, is_possible=reason is None, reason=reason)
        for action, reason in reasons.items()
    ]


def _of_review(
    status: OrderStatus, findings: Sequence[Finding], execution: ExecutionStatus
) -> dict[PossibleAction, str | None]:
    if not findings:
        common: str | None = f"The order is {status}: it does not need review"
    elif execution.is_live:
        common = f"An execution is at work on the order: it is {execution}"
    else:
        common = None

    def close(end: OrderStatus) -> str | None:
        if common is not None or not closing.blocking(findings, end):
            return common
        return closing.refusal(findings, end)

    return {
        "resume": common,
        "close as CONFIRMED": close(OrderStatus.CONFIRMED),
        "close as CANCELLED": close(OrderStatus.CANCELLED),
    }


def _cancel(state: CancellationState, reason: FailureReason | None, no_refund: str | None) -> str | None:
    if state.requested_at is not None:
        return "Its cancellation was asked for before"
    refused = state.refusal(reason)
    if refused is not None:
        return str(refused)
    return no_refund if state.status is OrderStatus.CONFIRMED else None


def _resend(
    messages: Sequence[Mapping[str, Any]], order_status: OrderStatus, is_erased: bool, suppressed: str | None
) -> str | None:
    """None if one of them can be sent again."""
    reason = "No message of the order was asked for yet"
    for message in messages:
        refused = notifications.refusal_to_resend(
            Notification(message["type"]),
            NotificationStatus(message["status"]),
            order_status,
            is_leased=message["leased"],
            is_erased=is_erased,
            suppressed=MailFeedback(suppressed) if suppressed and message["channel"] == "email" else None,
        )
        if refused is None:
            return None
        reason = str(refused)
    return reason


def _redeliver(endpoints: Sequence[str]) -> str | None:
    if not endpoints:
        return "Nothing of the order was sent to a webhook"
    if EndpointStatus.ENABLED not in endpoints:
        return "The webhook is disabled: its owner has to enable it"
    return None
