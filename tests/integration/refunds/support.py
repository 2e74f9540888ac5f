"""Refunds as tests ask for them, and what they leave."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from orders import refunds
from orders.db import Database
from orders.domain import RefundOrigin
from orders.refunds import Granted
from tests.integration.saga.pipeline import Order
from tests.support.factories import TRACE

OPERATOR: Final = "operator-11aa"
REASON: Final = "arrived broken"


def grant(
    order: Order,
    *,
    amount: int | None = None,
    lines: Mapping[UUID, int] | None = None,
    restock: bool = False,
    database: Database | None = None,
) -> Granted:
    """Grants a refund, as an operator asks for it."""
    return (database or order.pipeline.database).transact(
        lambda connection: refunds.grant(
            connection,
            order.order_id,
            origin=RefundOrigin.OPERATOR,
            requested_by=OPERATOR,
            reason=REASON,
            amount=amount,
            lines=lines or {},
            restock=restock,
            trace=TRACE,
        )
    )


def refunds_of(order: Order) -> list[dict[str, Any]]:
    """The rows of its refunds, oldest first."""
    return order.pipeline.rows(
        "SELECT * FROM refunds WHERE order_id = :order_id ORDER BY id", order_id=order.order_id
    )


def lines_of(order: Order, refund_id: UUID) -> dict[UUID, int]:
    """The units of a refund by their product."""
    found = order.pipeline.rows(
        "SELECT * FROM refund_lines WHERE refund_id = :refund_id", refund_id=refund_id
    )
    return {row["product_id"]: row["quantity"] for row in found}
