"""Why an order is under review, in words with numbers, and what to do about it."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from pydantic import Field

from functions.operations.orders.records import OrderRecords
from orders import closing
from orders.closing import Finding, FindingCode
from orders.domain import OrderStatus, SagaStep, StepOutcome
from orders.executions import ExecutionStatus
from orders.http import ApiModel
from orders.operator_actions import Action

OperatorAction = Literal["resume", "close as CONFIRMED", "close as CANCELLED"]
ReasonCode = (
    FindingCode
    | Literal["CANCELLATION_REQUESTED", "CUSTOMER_NOT_TOLD", "EXECUTIONS_FAILED", "EXECUTION_RUNNING"]
)
End = Literal["CONFIRMED", "CANCELLED"]

_CLOSINGS: tuple[tuple[OrderStatus, OperatorAction], ...] = (
    (OrderStatus.CONFIRMED, "close as CONFIRMED"),
    (OrderStatus.CANCELLED, "close as CANCELLED"),
)


class HeldUnits(ApiModel):
    product_id: UUID
    name: str
    quantity: int


class ReviewReason(ApiModel):
    """One thing that is known of the order, e.g. `stock not back: 2 × Headphones reserved`."""

    code: ReasonCode
    text: str = Field(examples=["stock not back: 2 × Headphones reserved"])
    blocks: list[End] = Field(description="The ends that it stands in the way of")
    lines: list[HeldUnits] = Field(description="The units that are held, if it is about stock")
    amount: int | None = Field(description="The money that is held, in minor units, if it is about money")


class ReviewAdvice(ApiModel):
    """Why the order is under review, and what to do first."""

    reasons: list[ReviewReason]
    suggested: OperatorAction | Literal["wait", "ask the payment provider"] = Field(
        description="`wait`: until the execution has ended, or the payment gateway answers"
    )


def possible_actions(findings: Sequence[Finding], execution: ExecutionStatus) -> list[OperatorAction]:
    """What an operator may do now. Without findings the order is not under review."""
    if not findings or execution.is_live:
        return []
    return ["resume", *(action for end, action in _CLOSINGS if not closing.blocking(findings, end))]


def advise(
    records: OrderRecords,
    execution: ExecutionStatus,
    error: str | None,
    findings: Sequence[Finding],
    actions: Sequence[OperatorAction],
) -> ReviewAdvice:
    """The advice for an order under review. `execution` is how its newest one stands, `error` what ended it."""
    reasons = [*map(_reason, findings), *_reasons_of_the_saga(records, execution, error)]
    return ReviewAdvice(reasons=reasons, suggested=_suggest(records, execution, findings, actions))


def _suggest(
    records: OrderRecords,
    execution: ExecutionStatus,
    findings: Sequence[Finding],
    actions: Sequence[OperatorAction],
) -> OperatorAction | Literal["wait", "ask the payment provider"]:
    codes = {finding.code for finding in findings}
    if execution.is_live or FindingCode.GATEWAY_UNAVAILABLE in codes:
        return "wait"
    # On its way forward the saga would trust our record; on its way back it asks the gateway.
    is_disputed = FindingCode.GATEWAY_DISAGREES in codes and FindingCode.MONEY_UNKNOWN not in codes
    if is_disputed and not _has_turned_back(records):
        return "ask the payment provider"
    was_resumed = any(action.action == Action.ORDER_RESUMED for action in records.actions)
    # Nobody is sold what they have cancelled, unless an operator decides so.
    unwanted = {"resume", "close as CONFIRMED" if records.cancellation else None}
    closings = [action for action in actions if action not in unwanted]
    return closings[0] if was_resumed and closings else "resume"


def _reasons_of_the_saga(
    records: OrderRecords, execution: ExecutionStatus, error: str | None
) -> list[ReviewReason]:
    if execution.is_live:
        return [
            _note("EXECUTION_RUNNING", f"an execution is at work on the order: it is {execution}", both=True)
        ]
    reasons = []
    if records.cancellation:
        at = records.cancellation.requested_at.isoformat(timespec="seconds")
        reasons.append(_note("CANCELLATION_REQUESTED", f"customer: asked for the cancellation at {at}"))
    steps = {step.name: step.status for step in records.steps}
    if _has_turned_back(records) and steps.get(SagaStep.SEND_CANCELLATION) is not StepOutcome.SUCCEEDED:
        reasons.append(_note("CUSTOMER_NOT_TOLD", "customer: not told that the order was not completed"))
    if not _has_turned_back(records):
        why = f": {error}" if error else ""
        text = f"executions: none of {records.executions} came to an end, the last one is {execution}{why}"
        reasons.append(_note("EXECUTIONS_FAILED", text))
    return reasons


def _has_turned_back(records: OrderRecords) -> bool:
    return any(
        step.name is SagaStep.COMPLETE_ORDER and step.status is StepOutcome.FENCED for step in records.steps
    )


def _note(code: ReasonCode, text: str, *, both: bool = False) -> ReviewReason:
    return ReviewReason(
        code=code, text=text, blocks=["CONFIRMED", "CANCELLED"] if both else [], lines=[], amount=None
    )


def _reason(finding: Finding) -> ReviewReason:
    return ReviewReason(
        code=finding.code,
        text=finding.text,
        blocks=[end for end in ("CONFIRMED", "CANCELLED") if end in finding.blocks],
        lines=[HeldUnits.of(vars(line)) for line in finding.lines],
        amount=finding.amount,
    )
