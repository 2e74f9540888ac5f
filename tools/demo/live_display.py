"""Progress while the scenarios run: a live display on a terminal, a line for each that is over anywhere else."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orders.domain import OrderStatus
from tools.demo.placing import Observer, Run

COLOURS: Final = {
    OrderStatus.PENDING: "cyan",
    OrderStatus.PROCESSING: "cyan",
    OrderStatus.CONFIRMED: "green",
    OrderStatus.CANCELLED: "yellow",
    OrderStatus.NEEDS_REVIEW: "red",
}
_FRAMES_PER_SECOND: Final = 8
_BAR_WIDTH: Final = 16


@contextmanager
def live_display(runs: Sequence[Run], console: Console) -> Iterator[Observer]:
    """Shows the runs for as long as it is held; yields whom to tell when one is over."""
    if not console.is_terminal:
        yield lambda run: console.print(f"{run.scenario.name}: {_standing(run).plain.strip()}")
        return
    picture = _Display(runs)
    with Live(picture, console=console, refresh_per_second=_FRAMES_PER_SECOND, transient=True):
        yield lambda run: None


class _Display:
    """Drawn anew for each frame from the state of the runs."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._started = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for run in self._runs:
            table.add_row(self._mark(run), run.scenario.name, _bar(run), _standing(run))
        over = sum(run.is_over for run in self._runs)
        elapsed = time.monotonic() - self._started
        table.add_row("", f"[dim]{over} of {len(self._runs)} scenarios over, {elapsed:.0f} s[/dim]")
        return table

    def _mark(self, run: Run) -> RenderableType:
        if run.is_over:
            return Text("●", "green")
        return self._spinner if run.is_started else Text("○", "dim")


def _bar(run: Run) -> RenderableType:
    total = len(run.scenario.posts) + sum(run.scenario.endings.values())
    done = len(run.posted) + sum(order.milliseconds is not None for order in run.orders.values())
    return ProgressBar(total=total, completed=done, width=_BAR_WIDTH)


def _standing(run: Run) -> Text:
    """Where the scenario's orders stand, e.g. `5 × CONFIRMED  3 × CANCELLED`, and how posts were refused."""
    line = Text()
    statuses = Counter(
        order.progress.status if order.progress else OrderStatus.PENDING for order in run.orders.values()
    )
    for status, number in sorted(statuses.items()):
        line.append(f"{number} × {status}  " if number > 1 else f"{status}  ", COLOURS[status])
    refused = Counter(posted.response for posted in run.posted if posted.accepted is None)
    for response, number in refused.items():
        line.append(f"{number} × {response}  " if number > 1 else f"{response}  ", "yellow")
    if not run.is_over and len(run.orders) == 1:
        (order,) = run.orders.values()
        if order.progress and order.progress.steps:
            line.append(f"{order.progress.steps[-1].name}", "dim")
    return line
