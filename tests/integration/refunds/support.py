"""Refunds as tests ask for them, how they are carried out, and what they leave."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import pytest

from functions.refund_steps import handler
from orders import refunds
from orders.db import Database
from orders.domain import RefundOrigin, RefundStep
from orders.payments.gateway import PaymentGateway
from orders.refunds import Granted
from tests.integration.saga.pipeline import Order, Pipeline
from tests.support.api import lambda_context
from tests.support.asl import Execution, Fault, StateMachine, Task
from tests.support.factories import TRACE

OPERATOR: Final = "operator-11aa"
REASON: Final = "arrived broken"
STEPS: Final = ["BeginRefund", "RefundPayment", "RestockItems", "SendRefundNotice"]


def deploy(monkeypatch: pytest.MonkeyPatch, database: Database, gateway: PaymentGateway) -> None:
    """Puts the steps on this database and this gateway."""
    monkeypatch.setattr(handler, "database", database)
    monkeypatch.setattr(handler, "gateway", gateway)


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


def execution_input(refund_id: UUID) -> dict[str, Any]:
    return {
        "refundId": str(refund_id),
        "correlationId": TRACE.correlation_id,
        "traceparent": TRACE.traceparent,
    }


def run(refund_id: UUID, *faults: Fault) -> Execution:
    """The whole state machine."""
    return StateMachine.order_refund(TASKS).run(execution_input(refund_id), *faults)


def call(step: str, refund_id: UUID) -> Any:
    """One invocation of one step's function."""
    more: dict[str, Any] = {"step": step, "execution": f"refund-{refund_id}", "attempt": 1}
    if step == RefundStep.MARK_FOR_REVIEW:
        more["failure"] = {"step": "RestockItems", "error": "States.Timeout"}
    return TASKS["RefundSteps"]({**execution_input(refund_id), **more})


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


def payment_of(order: Order) -> tuple[str, int, int]:
    """The status of the payment by our record, what was captured and what was refunded."""
    (row,) = order.pipeline.rows("SELECT * FROM payments WHERE order_id = :id", id=order.order_id)
    return row["status"], row["captured"], row["refunded"]


def events_of(order: Order, event_type: str) -> list[dict[str, Any]]:
    """The data of the order's events of a type, oldest first."""
    found = order.pipeline.rows(
        "SELECT data FROM outbox WHERE subject = :id AND type = :type ORDER BY id",
        id=order.order_id,
        type=event_type,
    )
    return [row["data"] for row in found]


def returned_of(pipeline: Pipeline, refund_id: UUID) -> dict[UUID, int]:
    """The units that came back with a refund, by their product."""
    found = pipeline.rows(
        "SELECT product_id, quantity FROM stock_movements WHERE refund_id = :id AND kind = 'RETURNED'",
        id=refund_id,
    )
    return {row["product_id"]: row["quantity"] for row in found}


TASKS: Final[Mapping[str, Task]] = {"RefundSteps": lambda payload: handler.handler(payload, lambda_context())}
