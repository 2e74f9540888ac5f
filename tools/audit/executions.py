"""Executions of the saga as Step Functions recorded them: which states, in which order, after which errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

THROTTLES: Final = frozenset({"Lambda.TooManyRequestsException", "Lambda.Unknown"})
"""The errors of a task that was not even started, for lack of concurrency."""


@dataclass(frozen=True)
class Visit:
    """One state that an execution passed."""

    state: str
    errors: tuple[str, ...] = ()
    """Names of the errors of the attempts that failed, in order. Throttled attempts are none: nothing ran."""
    succeeded: bool = False


def execution_arn(state_machine_arn: str, order_id: UUID) -> str:
    """The one execution that an order can have: its name is the order's."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:order-{order_id}"


def is_running(client: "SFNClient", arn: str) -> bool:
    try:
        return client.describe_execution(executionArn=arn)["status"] == "RUNNING"
    except client.exceptions.ExecutionDoesNotExist:
        return False


def visits(client: "SFNClient", arn: str) -> tuple[Visit, ...]:
    """The states that the execution passed; none if there is no such execution, or the emulator has forgotten it."""
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    try:
        return summarise(event for page in pages for event in page["events"])
    except client.exceptions.ExecutionDoesNotExist:
        return ()


def summarise(events: Iterable[Mapping[str, Any]]) -> tuple[Visit, ...]:
    """The states in the order in which they were entered. Only tasks: states without work are no steps."""
    passed: list[Visit] = []
    for event in events:
        match event["type"]:
            case "TaskStateEntered":
                passed.append(Visit(event["stateEnteredEventDetails"]["name"]))
            case "TaskSucceeded":
                passed[-1] = replace(passed[-1], succeeded=True)
            case "TaskFailed" | "TaskTimedOut" | "TaskStartFailed" | "TaskSubmitFailed":
                error = _error(event)
                if error not in THROTTLES:
                    passed[-1] = replace(passed[-1], errors=(*passed[-1].errors, error))
    return tuple(passed)


def _error(event: Mapping[str, Any]) -> str:
    kind: str = event["type"]
    details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails", {})
    return str(details.get("error", "States.Timeout" if kind == "TaskTimedOut" else "unknown"))
