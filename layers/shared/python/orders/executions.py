"""Executions of the order saga and of refunds: how they are named, what they are given, how they are started and found.

An order's first execution is `order-<order id>`; one that takes over from a dead one is `order-<order id>-r<n>`. Those
of a refund are `refund-<refund id>` and `refund-<refund id>-r<n>`. Step Functions itself refuses a second execution of
the same name, and remembers names for 90 days, so a name is the lock that lets an order, or a refund, have one
execution at a time (promise I6).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from orders import aws
from orders.events import Trace
from orders.tracing import tracing_header

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

READ_TIMEOUT_SECONDS: Final = 3
ATTEMPTS: Final = 3
"""By the SDK, with its backoff: a message that goes back to its queue is away for minutes, a throttle for a second."""
LONGEST_CALL_SECONDS: Final = 15.0
"""What one call may take: every attempt to its timeout, and the SDK's waits between them."""

_NAME: Final = re.compile(r"(order|refund)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-r[0-9]+)?")


class Subject(StrEnum):
    """What the executions of a state machine are about."""

    ORDER = "order"
    REFUND = "refund"


class ExecutionStatus(StrEnum):
    """As Step Functions reports it."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"

    GONE = "GONE"
    """There is no execution of that name."""

    @property
    def is_live(self) -> bool:
        return self in (ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE)


@dataclass(frozen=True)
class Execution:
    """One execution as Step Functions describes it."""

    name: str
    status: ExecutionStatus
    started_at: datetime | None
    stopped_at: datetime | None
    error: str | None
    """The name of what ended it, if it failed."""


def execution_name(subject_id: UUID, resumes: int = 0, subject: Subject = Subject.ORDER) -> str:
    """The name of the execution of an order or a refund; `resumes` is how many came before it."""
    return f"{subject}-{subject_id}" + (f"-r{resumes}" if resumes else "")


def subject_of(name: str, subject: Subject = Subject.ORDER) -> UUID | None:
    """The order, or the refund, that an execution of this name works on; None if it is of something else."""
    found = _NAME.fullmatch(name)
    return UUID(found[2]) if found and found[1] == subject else None


def execution_input(subject_id: UUID, trace: Trace, subject: Subject = Subject.ORDER) -> str:
    """What the state machine is started with, as JSON."""
    return json.dumps(
        {
            f"{subject}Id": str(subject_id),
            "correlationId": trace.correlation_id,
            "traceparent": trace.traceparent,
        }
    )


def connect(attempts: int = ATTEMPTS) -> "SFNClient":
    """A client of Step Functions."""
    client: SFNClient = aws.connect(
        "stepfunctions", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=attempts
    )
    return client


class Executions:
    """The executions of one state machine.

    What Step Functions says may be seconds old, but a start under a taken name is always refused. Each method raises
    botocore's ClientError or BotoCoreError when there is no response, and may then be called again.
    """

    def __init__(self, client: "SFNClient", state_machine_arn: str, subject: Subject = Subject.ORDER) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn
        self._subject = subject

    def name(self, subject_id: UUID, resumes: int = 0) -> str:
        """The name of an execution."""
        return execution_name(subject_id, resumes, self._subject)

    def start(self, subject_id: UUID, trace: Trace, resumes: int = 0) -> bool:
        """Starts the execution of that name. False: it exists, or existed, already."""
        header = tracing_header(trace.traceparent)
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=self.name(subject_id, resumes),
                input=execution_input(subject_id, trace, self._subject),
                **({"traceHeader": header} if header else {}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def status(self, subject_id: UUID, resumes: int = 0) -> ExecutionStatus:
        """What has become of the execution of that name."""
        return self.describe(subject_id, resumes).status

    def find_replacement(self, subject_id: UUID, resumes: int) -> tuple[ExecutionStatus, int] | None:
        """How the newest execution has ended, and the number of the one to start in its place; None: it is alive.

        The number of one that is GONE was given out, and the start did not happen: it is free.
        """
        status = self.status(subject_id, resumes)
        return None if status.is_live else (status, resumes + (status is not ExecutionStatus.GONE))

    def describe(self, subject_id: UUID, resumes: int = 0) -> Execution:
        """The execution of that name; GONE if there is none, or not any more."""
        try:
            described = self._client.describe_execution(executionArn=self._arn(subject_id, resumes))
        except self._client.exceptions.ExecutionDoesNotExist:
            return Execution(self.name(subject_id, resumes), ExecutionStatus.GONE, None, None, None)
        return Execution(
            described["name"],
            ExecutionStatus(described["status"]),
            described["startDate"],
            described.get("stopDate"),
            described.get("error"),
        )

    def history(self, subject_id: UUID, resumes: int = 0) -> Iterator[Mapping[str, Any]]:
        """The events of the execution of that name, oldest first, without inputs and outputs."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=self._arn(subject_id, resumes), includeExecutionData=False
        )
        for page in pages:
            yield from page["events"]

    def _arn(self, subject_id: UUID, resumes: int) -> str:
        machine = self._state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{machine}:{self.name(subject_id, resumes)}"

    def live(self, may_go_on: Callable[[], bool]) -> set[UUID]:
        """The orders, or the refunds, with a running execution, a thousand in a response; asks on as long as it may.

        One that is missing here may have one all the same.
        """
        live: set[UUID] = set()
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._state_machine_arn, statusFilter="RUNNING"
        )
        for page in pages:
            found = (subject_of(execution["name"], self._subject) for execution in page["executions"])
            live |= {subject_id for subject_id in found if subject_id is not None}
            if not may_go_on():
                break
        return live
