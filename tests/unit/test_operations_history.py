"""An execution's history as operators read it: states with their times, and the attempts that failed in them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from functions.operations.orders.sagas import summarise

START = datetime(2026, 1, 1, tzinfo=UTC)


def history(*events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Events as Step Functions lists them, a second apart."""
    return [
        {"timestamp": START + timedelta(seconds=second), "type": kind, **details}
        for second, (kind, details) in enumerate(events)
    ]


def entered(state: str) -> tuple[str, dict[str, Any]]:
    return "TaskStateEntered", {"stateEnteredEventDetails": {"name": state}}


def exited(state: str) -> tuple[str, dict[str, Any]]:
    return "TaskStateExited", {"stateExitedEventDetails": {"name": state}}


def test_each_state_has_its_times_and_the_errors_of_its_attempts() -> None:
    visits = summarise(
        history(
            ("ExecutionStarted", {}),
            entered("VerifyStock"),
            ("TaskFailed", {"taskFailedEventDetails": {"error": "DatabaseUnavailable"}}),
            ("TaskTimedOut", {"taskTimedOutEventDetails": {}}),
            ("TaskSucceeded", {}),
            exited("VerifyStock"),
            entered("ReserveInventory"),
        )
    )

    assert [(visit.state, visit.errors) for visit in visits] == [
        ("VerifyStock", ["DatabaseUnavailable", "States.Timeout"]),
        ("ReserveInventory", []),
    ]
    assert visits[0].entered_at == START + timedelta(seconds=1)
    assert visits[0].exited_at == START + timedelta(seconds=5)
    assert visits[1].exited_at is None


def test_states_without_work_are_passed_too() -> None:
    passed = ("SucceedStateEntered", {"stateEnteredEventDetails": {"name": "AlreadyCompleted"}})

    assert [visit.state for visit in summarise(history(passed))] == ["AlreadyCompleted"]
