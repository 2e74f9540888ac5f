"""What our tables hold of refunds, for operators."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy import Connection, text

from orders.db import Database
from orders.domain import RefundOrigin, RefundStatus
from orders.errors import OrderNotFound, RefundNotFound
from orders.http import ApiModel
from orders.ids import FIRST_ID
from orders.pages import cut, id_before

RECORD: Final = """
    jsonb_build_object(
        'refundId', refund.id, 'orderId', refund.order_id, 'origin', refund.origin,
        'requestedBy', refund.requested_by, 'reason', refund.reason, 'amount', refund.amount,
        'currency', orders.currency, 'restock', refund.restock, 'status', refund.status, 'error', refund.error,
        'executions', 1 + refund.resumes, 'providerRefundId', refund.provider_refund_id,
        'refundedAt', refund.refunded_at, 'restockedAt', refund.restocked_at, 'createdAt', refund.created_at,
        'updatedAt', refund.updated_at, 'correlationId', orders.correlation_id,
        'completedAt', CASE WHEN refund.status = 'COMPLETED' THEN refund.updated_at END,
        'lines', coalesce((
            SELECT jsonb_agg(jsonb_build_object('productId', product_id, 'quantity', quantity) ORDER BY product_id)
            FROM refund_lines WHERE refund_id = refund.id), '[]'))
"""
"""SQL: a `RefundRecord` as JSON, of the tables `refund` and `orders`."""

_OF_ORDER: Final = text(f"""
    SELECT coalesce((
        SELECT jsonb_agg({RECORD} ORDER BY refund.id) FROM refunds AS refund WHERE refund.order_id = orders.id
    ), '[]')
    FROM orders WHERE orders.id = :order_id
""")
_ONE: Final = text(f"""
    SELECT {RECORD} FROM refunds AS refund JOIN orders ON orders.id = refund.order_id
    WHERE refund.id = :refund_id AND refund.order_id = :order_id
""")
# The condition is that of an index which holds nothing else.
_OPEN: Final = text(f"""
    SELECT refund.id, {RECORD} AS record
    FROM refunds AS refund JOIN orders ON orders.id = refund.order_id
    WHERE refund.status IN ('REQUESTED', 'NEEDS_REVIEW') AND refund.status = :status AND refund.id > :after
    ORDER BY refund.id
    LIMIT :limit
""")


class RefundLine(ApiModel):
    product_id: UUID
    quantity: int


class RefundRecord(ApiModel):
    """A refund as our tables have it; amounts in minor units of `currency`."""

    refund_id: UUID
    order_id: UUID
    origin: RefundOrigin
    requested_by: str = Field(description="The user's id, of an operator or the customer; else the provider")
    reason: str
    amount: int
    currency: str
    lines: list[RefundLine] = Field(description="None: an amount was refunded, whatever it is for")
    restock: bool = Field(description="Whether its units go back to stock")
    status: RefundStatus
    error: str | None = Field(description="Why it needs review")
    executions: int = Field(description="How many executions it has had, the first one included")
    provider_refund_id: str | None
    refunded_at: datetime | None = Field(description="When the payment provider gave the money back")
    restocked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    correlation_id: str = Field(description="The order's; finds its log lines")


class RefundList(ApiModel):
    """Oldest first."""

    items: list[RefundRecord]
    next_cursor: str | None


def list_of_order(database: Database, order_id: UUID) -> RefundList:
    """All refunds of an order.

    Raises:
        OrderNotFound: there is no such order.
    """
    found = database.transact_alone(lambda connection: connection.scalar(_OF_ORDER, {"order_id": order_id}))
    if found is None:
        raise OrderNotFound("There is no such order")
    return RefundList(items=[_record(record) for record in found], next_cursor=None)


def list_open(database: Database, status: RefundStatus, cursor: str | None, limit: int) -> RefundList:
    """A page of the refunds of all orders that are on their way or under review, oldest first.

    Raises:
        InvalidCursor: it is not of this list.
    """
    listing = f"admin refunds {status}"
    parameters = {"status": status, "after": id_before(listing, cursor, FIRST_ID), "limit": limit + 1}
    rows = database.transact_alone(lambda connection: connection.execute(_OPEN, parameters).all())
    page, next_cursor = cut(listing, rows, limit)
    return RefundList(items=[_record(row.record) for row in page], next_cursor=next_cursor)


def read(connection: Connection, order_id: UUID, refund_id: UUID) -> RefundRecord:
    """One refund of the order.

    Raises:
        RefundNotFound: the order has no such refund, or there is no such order.
    """
    found = connection.scalar(_ONE, {"order_id": order_id, "refund_id": refund_id})
    if found is None:
        raise RefundNotFound("The order has no such refund")
    return _record(found)


def _record(found: Any) -> RefundRecord:
    return RefundRecord.model_validate(found, strict=False)
