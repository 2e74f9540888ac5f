"""A refund that nobody works on is started again: a lost message or a dead execution loses none."""

from uuid import UUID

import pytest

from functions.maintenance.stuck_refunds import MAX_RESUMES, StuckRefunds
from orders import refunds
from orders.db import Database
from orders.domain import RefundOrigin
from orders.executions import ExecutionStatus
from orders.observability import metrics
from tests.integration.maintenance.support import (
    PLENTY,
    StepFunctions,
    let_time_pass,
    publish_all,
    repairs,
)
from tests.support.factories import TRACE, add_order, execute, rows


@pytest.fixture
def refund_id(database: Database) -> UUID:
    """A refund that was granted an hour ago, and whose event has reached its queue."""
    order_id = add_order(database)
    for status in ("PROCESSING", "CONFIRMED"):
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", status=status, id=order_id)
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured) "
        "SELECT id, 'order-' || id, 'CAPTURED', total_amount, currency, total_amount FROM orders",
    )
    granted = database.transact(
        lambda connection: refunds.grant(
            connection,
            order_id,
            origin=RefundOrigin.OPERATOR,
            requested_by="operator",
            reason="broken",
            amount=100,
            lines={},
            restock=False,
            trace=TRACE,
        )
    )
    publish_all(database)
    let_time_pass(database, 3600)
    return granted.refund_id


def resume(database: Database, step_functions: StepFunctions) -> int:
    return StuckRefunds(database, lambda: step_functions.refunds, PLENTY).resume()


def test_a_refund_whose_message_was_lost_is_started(
    database: Database, step_functions: StepFunctions, refund_id: UUID
) -> None:
    metrics.clear_metrics()

    assert resume(database, step_functions) == 1

    assert step_functions.refunds.status(refund_id) is ExecutionStatus.RUNNING
    assert repairs(database) == ["REFUND_RESUMED"]
    assert metrics.metric_set["RefundsResumed"]["Value"] == [1.0]
    assert resume(database, step_functions) == 0


def test_a_refund_whose_execution_runs_is_left_alone(
    database: Database, step_functions: StepFunctions, refund_id: UUID
) -> None:
    step_functions.refunds.start(refund_id, TRACE)

    assert resume(database, step_functions) == 0
    assert repairs(database) == []


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_dead_execution_is_followed_by_the_next(
    database: Database, step_functions: StepFunctions, refund_id: UUID, status: str
) -> None:
    step_functions.refunds.start(refund_id, TRACE)
    step_functions.end_refund(refund_id, ExecutionStatus(status))

    assert resume(database, step_functions) == 1

    assert step_functions.refunds.status(refund_id, 1) is ExecutionStatus.RUNNING


def test_an_event_that_is_not_published_yet_has_its_relay(
    database: Database, step_functions: StepFunctions, refund_id: UUID
) -> None:
    execute(
        database,
        "UPDATE outbox SET status = 'PENDING', published_at = NULL WHERE type = 'com.orders.refund.requested.v1'",
    )

    assert resume(database, step_functions) == 0


def test_after_many_executions_an_operator_is_asked(
    database: Database, step_functions: StepFunctions, refund_id: UUID
) -> None:
    execute(database, "UPDATE refunds SET resumes = :most", most=MAX_RESUMES)
    step_functions.refunds.start(refund_id, TRACE, MAX_RESUMES)
    step_functions.end_refund(refund_id, ExecutionStatus.FAILED, MAX_RESUMES)
    metrics.clear_metrics()

    assert resume(database, step_functions) == 0

    (refund,) = rows(database, "SELECT status, error FROM refunds")
    assert refund == {"status": "NEEDS_REVIEW", "error": "States.FAILED"}
    assert repairs(database) == ["REFUND_GIVEN_UP"]
    assert metrics.metric_set["RefundsNeedingReview"]["Value"] == [1.0]
