"""Executions of the saga as Step Functions recorded them: when each ran, and which states it passed."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from orders.domain import PaymentStatus
from orders.errors import PaymentActionRequired
from orders.executions import subject_of
from tools.audit.verdict import Verdict, Violation

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

THROTTLES: Final = frozenset({"Lambda.TooManyRequestsException", "Lambda.Unknown"})
"""The errors of a task that was not even started, for lack of concurrency."""


@dataclass(frozen=True)
class Execution:
    """One execution of the state machine, for an order."""

    name: str
    order_id: UUID | None
    """None: its name is no order's."""
    started: datetime
    stopped: datetime | None
    """None: it runs."""


@dataclass(frozen=True)
class Visit:
    """One state that an execution passed."""

    state: str
    errors: tuple[str, ...] = ()
    """Names of the errors of the attempts that failed, in order. Throttled attempts are none: nothing ran."""
    succeeded: bool = False
    outcome: str | None = None
    """What its function returned as its outcome, e.g. CAPTURED; ACTION_REQUIRED is one as well."""


def execution_arn(state_machine_arn: str, order_id: UUID) -> str:
    """The first execution of an order: its name is the order's."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:order-{order_id}"


def is_running(client: "SFNClient", arn: str) -> bool:
    try:
        return client.describe_execution(executionArn=arn)["status"] == "RUNNING"
    except client.exceptions.ExecutionDoesNotExist:
        return False


def read_executions(client: "SFNClient", state_machine_arn: str) -> tuple[Execution, ...]:
    """All executions that Step Functions knows of."""
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn)
    return tuple(
        Execution(found["name"], subject_of(found["name"]), found["startDate"], found.get("stopDate"))
        for page in pages
        for found in page["executions"]
    )


def check_executions(executions: Iterable[Execution]) -> Verdict:
    """Holds the executions against promise I6."""
    by_order: defaultdict[UUID | None, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_order[execution.order_id].append(execution)
    strangers = by_order.pop(None, [])
    violations = [Violation(stranger.name, "works on no order") for stranger in strangers]
    for order_id, its_own in by_order.items():
        for first, second in pairwise(sorted(its_own, key=lambda execution: execution.started)):
            if first.stopped is None or first.stopped > second.started:
                violations.append(
                    Violation(str(order_id), f"{second.name} started before {first.name} was over")
                )
    return Verdict(
        "I6",
        "At most one execution works on an order at a time, by the executions' own times",
        sum(map(len, by_order.values())) + len(strangers),
        tuple(violations),
    )


def history(client: "SFNClient", arn: str) -> "Iterator[HistoryEventTypeDef]":
    """The events of an execution.

    Raises:
        ExecutionDoesNotExist: there is none, or the emulator has forgotten it.
    """
    for page in client.get_paginator("get_execution_history").paginate(executionArn=arn):
        yield from page["events"]


def visits(client: "SFNClient", arn: str) -> tuple[Visit, ...]:
    """The states that the execution passed; none if there is no such execution, or the emulator has forgotten it."""
    try:
        return summarise(history(client, arn))
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
                passed[-1] = replace(passed[-1], succeeded=True, outcome=_outcome(event))
            case "TaskFailed" | "TaskTimedOut" | "TaskStartFailed" | "TaskSubmitFailed":
                error = _error(event)
                if error == PaymentActionRequired.__name__:
                    passed[-1] = replace(passed[-1], succeeded=True, outcome=PaymentStatus.ACTION_REQUIRED)
                elif error not in THROTTLES:
                    passed[-1] = replace(passed[-1], errors=(*passed[-1].errors, error))
    return tuple(passed)


def _outcome(event: Mapping[str, Any]) -> str | None:
    output = json.loads(event.get("taskSucceededEventDetails", {}).get("output", "{}"))
    payload = output.get("Payload")
    return payload.get("outcome") if isinstance(payload, dict) else None


def _error(event: Mapping[str, Any]) -> str:
    kind: str = event["type"]
    details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails", {})
    return str(details.get("error", "States.Timeout" if kind == "TaskTimedOut" else "unknown"))
