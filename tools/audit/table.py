"""Verdicts as a table for a terminal."""

from collections.abc import Iterable
from typing import Final

from rich import box
from rich.table import Table

from tools.audit.verdict import Verdict

TICK: Final = "[green]✓[/green]"
CROSS: Final = "[red]✗[/red]"
_NOT_SHOWN: Final = "[dim]–[/dim]"
MOST_SHOWN: Final = 40
"""Violations that are told one by one: what breaks one order tends to break them all."""


def report_table(title: str) -> Table:
    """An empty table in the style of all reports."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
    )


def promise_table(title: str, verdicts: Iterable[Verdict], *, unchecked: str = _NOT_SHOWN) -> Table:
    """A line for each verdict. `unchecked` marks a promise about things that there are none of."""
    table = report_table(title)
    for name in ("", "", "Promise"):
        table.add_column(name)
    for name in ("Checked", "Violations"):
        table.add_column(name, justify="right")
    for verdict in verdicts:
        table.add_row(
            CROSS if not verdict.holds else TICK if verdict.checked else unchecked,
            verdict.promise,
            verdict.sentence,
            f"{verdict.checked:,}",
            f"[red]{len(verdict.violations)}[/red]" if verdict.violations else "0",
        )
    return table


def broken(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Every violation, a line each."""
    return tuple(
        f"{verdict.promise} broken: {violation.subject} {violation.problem}"
        for verdict in verdicts
        for violation in verdict.violations
    )
