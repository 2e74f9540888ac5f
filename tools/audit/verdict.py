"""What an audit finds out about a promise, and how it is shown."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

from tools.console import CROSS, TICK, report_table

NUMBERS: Final = tuple(f"I{number}" for number in range(1, 14))
"""The promises, in order."""
_NOT_SHOWN: Final = Text("–", "dim")


@dataclass(frozen=True)
class Violation:
    """One thing that breaks a promise."""

    subject: str
    """What it is about: an order's, product's, event's or payment's id."""
    problem: str


@dataclass(frozen=True)
class Verdict:
    """What an audit found out about one promise."""

    promise: str
    """Its number in docs/promises.md."""
    sentence: str
    checked: int
    """How many things were looked at. None is no evidence."""
    violations: tuple[Violation, ...] = ()
    remarks: tuple[Violation, ...] = ()
    """What an operator should know although no promise is broken."""

    @property
    def holds(self) -> bool:
        return not self.violations


def promise_table(title: str, verdicts: Iterable[Verdict], *, unchecked: Text = _NOT_SHOWN) -> Table:
    """A line for each verdict. `unchecked` marks a promise about things that there are none of."""
    table = report_table(title, "", "", "Promise", numbers=("Checked", "Violations"))
    for verdict in verdicts:
        table.add_row(
            CROSS if not verdict.holds else TICK if verdict.checked else unchecked,
            verdict.promise,
            verdict.sentence,
            f"{verdict.checked:,}",
            Text(str(len(verdict.violations)), "red" if verdict.violations else ""),
        )
    return table


def broken(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Every violation, a line each."""
    return tuple(
        f"{verdict.promise} broken: {violation.subject} {violation.problem}"
        for verdict in verdicts
        for violation in verdict.violations
    )
