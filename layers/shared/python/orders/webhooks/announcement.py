"""Telling of an order's end: one event, in the very statement that ends the order.

It is written only for users with an enabled endpoint. All others' orders, nearly all of them, then cost a look at an
index instead of an outbox row, a message and an invocation each.
"""

from typing import Any, Final
from uuid import UUID

from orders.events import OrderCancelled, OrderConfirmed, OrderReviewRequired
from orders.ids import uuid7
from orders.trace import Trace

INSERT: Final = f"""
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
    SELECT :announcement_id,
           CASE ended.status WHEN 'CONFIRMED' THEN '{OrderConfirmed.type}'
                             WHEN 'CANCELLED' THEN '{OrderCancelled.type}'
                             ELSE '{OrderReviewRequired.type}' END,
           ended.id,
           jsonb_build_object(
               'failureReason', ended.failure_reason, 'totalAmount', ended.total_amount, 'currency', ended.currency,
               'createdAt', ended.created_at
           ),
           :announcement_correlation_id, :announcement_traceparent
    FROM ended
    WHERE EXISTS (
        SELECT FROM webhook_endpoints AS endpoint
        WHERE endpoint.user_id = ended.user_id AND endpoint.status = 'ENABLED'
    )
"""
"""For a statement with a part `ended` that returns the order's row, if it is this statement that has ended the order:
all of `COLUMNS`. `row` gives its parameters."""

COLUMNS: Final = """
    orders.id, orders.user_id, orders.status, orders.failure_reason, orders.total_amount, orders.currency,
    orders.created_at
"""


def row(trace: Trace) -> dict[str, Any]:
    """The parameters of `INSERT` for one order."""
    event_id: UUID = uuid7()
    return {
        "announcement_id": event_id,
        "announcement_correlation_id": trace.correlation_id,
        "announcement_traceparent": trace.traceparent,
    }
