"""Collects what was measured, and says it: as a table, as JSON, and by an exit code."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from tools.bench.budgets import BUDGETS, Budget
from tools.console import Console


@dataclass(frozen=True)
class Result:
    """One line of the report."""

    name: str
    value: float | None
    """None: a budget that nothing was measured for."""
    unit: str
    budget: str | None
    """None: measured for the record."""
    ok: bool


class Report:
    """The results of a run, in the order they come in; each is shown at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._results: list[Result] = []
        self._failed: list[str] = []

    def add(self, name: str, value: float, unit: str) -> None:
        """A measured value, held against the budget of its name if there is one."""
        budget = BUDGETS.get(name)
        if budget is None:
            result = Result(name, _rounded(value), unit, None, ok=True)
        elif budget.unit != unit:
            raise ValueError(f"{name} is measured in {unit} and budgeted in {budget.unit}")
        else:
            result = Result(name, _rounded(value), unit, str(budget), budget.allows(value))
        self._results.append(result)
        missed = Text() if result.ok else Text("missed ", "red")
        self._console.print(Text.assemble("  ", missed, f"{name}: {_shown(result.value)} {unit}"))

    def say(self, line: str) -> None:
        """One line about what takes its time now."""
        self._console.print(line)

    def failed(self, family: str) -> None:
        """A family could not be measured, for the exception that is being handled."""
        self._console.print_exception()
        self._failed.append(family)

    def value(self, name: str) -> float | None:
        """A measured value, or None."""
        return next((result.value for result in self._results if result.name == name), None)

    def missing(self, families: set[str]) -> list[Budget]:
        """The budgets of these families that nothing was measured for."""
        measured = {result.name for result in self._results}
        return [
            budget for name, budget in BUDGETS.items() if budget.family in families and name not in measured
        ]

    def close(self, families: set[str]) -> bool:
        """Counts what was not measured as missed; returns whether every budget is met and every family was measured."""
        for budget in self.missing(families):
            self._results.append(Result(budget.name, None, budget.unit, str(budget), ok=False))
        return not self._failed and all(result.ok for result in self._results)

    def table(self) -> Table:
        table = Table(title="Benchmarks", box=None, pad_edge=False, title_justify="left")
        table.add_column("name", overflow="fold")
        table.add_column("value", justify="right")
        for column in ("unit", "budget", "ok"):
            table.add_column(column)
        for result in self._results:
            met = Text("yes", "green") if result.ok else Text("no", "red")
            verdict = "" if result.budget is None else met
            table.add_row(result.name, _shown(result.value), result.unit, result.budget or "", verdict)
        return table

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = [asdict(result) for result in self._results]
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> list[Result]:
    """The results of the last run."""
    return [Result(**result) for result in json.loads(path.read_text())]


def markdown(results: Iterable[Result]) -> str:
    """The table of docs/performance.md."""
    lines = ["| what | value | budget | met |", "|---|---|---|---|"]
    for result in results:
        verdict = "" if result.budget is None else "yes" if result.ok else "**no**"
        lines.append(
            f"| {result.name} | {_shown(result.value)} {result.unit} | {result.budget or ''} | {verdict} |"
        )
    return "\n".join(lines)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _shown(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
