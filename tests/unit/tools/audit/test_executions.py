from typing import Any
from uuid import UUID

from tools.audit.executions import Visit, execution_arn, summarise


def entered(name: str) -> dict[str, Any]:
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name}}


def failed(error: str) -> dict[str, Any]:
    return {"type": "TaskFailed", "taskFailedEventDetails": {"error": error, "cause": "…"}}


SUCCEEDED = {"type": "TaskSucceeded"}
EXITED = {"type": "TaskStateExited", "stateExitedEventDetails": {}}
SCHEDULED = {"type": "TaskScheduled"}


def test_states_are_told_in_the_order_in_which_they_were_entered() -> None:
    history = [
        {"type": "ExecutionStarted"},
        *(entered("VerifyStock"), SCHEDULED, SUCCEEDED, EXITED),
        *(entered("ReserveInventory"), SCHEDULED, SUCCEEDED, EXITED),
        {"type": "ExecutionSucceeded"},
    ]
    assert summarise(history) == (
        Visit("VerifyStock", succeeded=True),
        Visit("ReserveInventory", succeeded=True),
    )


def test_a_state_that_succeeds_in_the_end_keeps_the_errors_of_its_attempts() -> None:
    history = [
        entered("ProcessPayment"),
        failed("PaymentGatewayUnavailable"),
        failed("PaymentGatewayUnavailable"),
        SUCCEEDED,
    ]
    errors = ("PaymentGatewayUnavailable", "PaymentGatewayUnavailable")
    assert summarise(history) == (Visit("ProcessPayment", errors, succeeded=True),)


def test_a_caught_failure_is_no_success_although_the_state_is_left() -> None:
    history = [
        entered("ProcessPayment"),
        failed("PaymentDeclined"),
        EXITED,
        entered("RefundPayment"),
        SUCCEEDED,
    ]
    assert summarise(history) == (
        Visit("ProcessPayment", ("PaymentDeclined",)),
        Visit("RefundPayment", succeeded=True),
    )


def test_throttled_attempts_do_not_count_because_nothing_ran() -> None:
    history = [
        entered("VerifyStock"),
        failed("Lambda.Unknown"),
        failed("Lambda.TooManyRequestsException"),
        SUCCEEDED,
    ]
    assert summarise(history) == (Visit("VerifyStock", succeeded=True),)


def test_a_timeout_is_an_error_with_or_without_a_name() -> None:
    history = [
        entered("VerifyStock"),
        {"type": "TaskTimedOut"},
        {"type": "TaskTimedOut", "taskTimedOutEventDetails": {"error": "States.Timeout"}},
    ]
    assert summarise(history) == (Visit("VerifyStock", ("States.Timeout", "States.Timeout")),)


def test_an_orders_execution_is_known_by_the_orders_id() -> None:
    arn = execution_arn(
        "arn:aws:states:us-east-1:000000000000:stateMachine:orders-local-saga",
        UUID("018f3f7e-0000-7000-8000-000000000001"),
    )
    assert arn == (
        "arn:aws:states:us-east-1:000000000000:execution:orders-local-saga:"
        "order-018f3f7e-0000-7000-8000-000000000001"
    )
