"""One order on a terminal: where it stands and the steps of its saga, once or live."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final
from uuid import UUID

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orders.domain import FORWARD_STEPS, UNDOES, OrderStatus, PaymentStatus, SagaStep, StepOutcome
from orders.errors import public_error
from tools.client.orders_client import OrdersClient, Progress
from tools.console import COLOURS, Console

if TYPE_CHECKING:
    from tools.audit.executions import Visit

_POLL_SECONDS: Final = 0.2
_BAR_WIDTH: Final = 40

_MARKS: Final = {
    StepOutcome.SUCCEEDED: ("✓", "green"),
    StepOutcome.FAILED: ("✗", "red"),
    StepOutcome.COMPENSATED: ("↩", "yellow"),
    StepOutcome.FENCED: ("⊘", "dim"),
    StepOutcome.SKIPPED: ("–", "dim"),
}
_IN_WORDS: Final = {
    StepOutcome.SUCCEEDED: "",
    StepOutcome.FAILED: "failed for good",
    StepOutcome.COMPENSATED: "done, then undone",
    StepOutcome.FENCED: "closed: it may not happen any more",
}
_SKIPPED: Final[Mapping[str, str]] = {
    SagaStep.REFUND_PAYMENT: "nothing to refund",
    SagaStep.RELEASE_RESERVATION: "nothing to release",
    SagaStep.RESTORE_INVENTORY: "nothing to restore",
    SagaStep.MARK_CANCELLED: "not cancelled: an operator has to look at it",
}
_SKIPPED_BY_OUTCOME: Final[Mapping[str, frozenset[str]]] = {
    SagaStep.REFUND_PAYMENT: frozenset({PaymentStatus.VOIDED, PaymentStatus.DECLINED}),
    SagaStep.MARK_CANCELLED: frozenset({OrderStatus.NEEDS_REVIEW}),
}
"""What a step returns that has nothing to do, as far as its execution tells."""


async def watch_order(client: OrdersClient, order_id: UUID, console: Console) -> Progress:
    """Shows the order until it has come to its end.

    Raises:
        ApiError: there is no such order, or it is somebody else's.
    """
    import asyncio

    progress = await client.progress(order_id)
    # Anywhere but on a terminal a picture cannot move: its end is enough.
    moving = Live(picture_of(progress), console=console) if console.is_terminal else None
    with moving or nullcontext():
        while not progress.status.is_terminal:
            await asyncio.sleep(_POLL_SECONDS)
            progress = await client.progress(order_id)
            if moving:
                moving.update(picture_of(progress))
    if not moving:
        console.print(picture_of(progress), soft_wrap=True)
    return progress


def history_of(visits: "Iterable[Visit]") -> RenderableType:
    """The history of an execution: each state with the errors of the attempts before it succeeded, or failed."""
    table = Table.grid(padding=(0, 2))
    for visit in visits:
        outcome = StepOutcome.SUCCEEDED if visit.succeeded else StepOutcome.FAILED
        if visit.outcome in _SKIPPED_BY_OUTCOME.get(visit.state, ()):
            outcome = StepOutcome.SKIPPED
        remarks = [*map(public_error, visit.errors)]
        if visit.outcome == PaymentStatus.ACTION_REQUIRED:
            remarks.append("the customer must act first")
        if outcome is StepOutcome.SKIPPED:
            remarks.append(_SKIPPED[visit.state])
        table.add_row(Text(*_MARKS[outcome]), visit.state, Text(", ".join(remarks), "dim"))
    if not table.row_count:
        table.add_row(
            "", Text("There is no such execution: it has not started, or the emulator has since.", "dim")
        )
    return table


def picture_of(progress: Progress) -> RenderableType:
    """The order as it stands."""
    title = Text.assemble(
        ("Order ", "bold"),
        (str(progress.order_id), "bold"),
        "  ",
        (progress.status, COLOURS[progress.status]),
    )
    if progress.failure_reason:
        title.append(f"  {progress.failure_reason}", "red")
    bar = Table.grid()
    bar.add_row(ProgressBar(total=100, completed=progress.progress, width=_BAR_WIDTH))
    return Group(title, bar, _steps(progress))


def _steps(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    started = progress.steps[0].at if progress.steps else None
    for step in progress.steps:
        mark, colour = _MARKS[step.status]
        after = f"+{(step.at - started).total_seconds():.2f} s" if started else ""
        words = _SKIPPED[step.name] if step.status is StepOutcome.SKIPPED else _IN_WORDS[step.status]
        table.add_row(Text(mark, colour), step.name, Text(after, "dim"), Text(words, "dim"))
    if not progress.status.is_terminal:
        table.add_row(Spinner("dots", style="cyan"), Text(_next(progress), "dim"))
    return table


def _next(progress: Progress) -> str:
    """What is probably under way: the first forward step without an outcome, unless one has already failed."""
    if action := progress.next_action:
        return f"waits until {action.expires_at:%H:%M:%S} UTC for its customer, who must {action.type} the payment"
    steps = progress.steps
    known = {step.name for step in steps}
    if any(step.status is not StepOutcome.SUCCEEDED or step.name in UNDOES for step in steps):
        return "compensating"
    return next((step for step in FORWARD_STEPS if step not in known), "ending")
