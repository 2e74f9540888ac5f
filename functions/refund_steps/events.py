"""What the state machine sends to a step."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from orders.domain import RefundStep
from orders.events import Trace


class RefundFailure(BaseModel):
    """What ended the way forward: the step, and the error's name as Step Functions reports it."""

    model_config = ConfigDict(frozen=True)

    step: str
    error: str


class RefundStepEvent(BaseModel):
    """The input of the execution, as every step gets it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    step: RefundStep
    refund_id: UUID
    correlation_id: str
    traceparent: str
    execution: str = Field(max_length=80)
    """The name of the execution, and which invocation of the step it is, from 1: for its log lines."""
    attempt: int
    failure: RefundFailure | None = None
    """For MarkForReview."""

    @property
    def names(self) -> dict[str, object]:
        """What finds the log lines of one invocation."""
        return {
            "step": self.step,
            "refund_id": str(self.refund_id),
            "execution": self.execution,
            "step_attempt": self.attempt,
        }

    @property
    def trace(self) -> Trace:
        return Trace(self.correlation_id, self.traceparent)
