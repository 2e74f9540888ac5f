"""What the state machine sends to a step."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orders.domain import FailureReason, SagaStep
from orders.errors import failure_reason
from orders.events import Trace


class StepEvent(BaseModel):
    """The input of the execution, as every step gets it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    order_id: UUID
    correlation_id: str
    traceparent: str
    execution: str = Field(default="", max_length=80)
    """The name of the execution, and which invocation of the step it is, from 1: for its log lines. An execution that
    an earlier release has started gives neither."""
    attempt: int = 0

    @property
    def names(self) -> dict[str, object]:
        """What finds the log lines of one invocation."""
        return {"order_id": str(self.order_id), "execution": self.execution, "step_attempt": self.attempt}

    @property
    def trace(self) -> Trace:
        return Trace(self.correlation_id, self.traceparent)


class WaitEvent(StepEvent):
    """The same for a state that waits until its token is sent back."""

    task_token: str = Field(repr=False)
    """It wakes the execution, so it is not logged."""


class Failure(BaseModel):
    """What ended the way forward: the step, and the error's name as Step Functions reports it."""

    model_config = ConfigDict(frozen=True)

    step: SagaStep
    error: str

    @property
    def reason(self) -> FailureReason:
        return failure_reason(self.error)


class CancellationEvent(StepEvent):
    """The same for a compensation, with why."""

    failure: Failure
    unfinished: dict[SagaStep, str] = Field(default_factory=dict)
    """The compensations that failed for good, with their errors' names."""

    def because_of(self, error: str) -> "CancellationEvent":
        """The same event with another reason."""
        return self.model_copy(update={"failure": self.failure.model_copy(update={"error": error})})
