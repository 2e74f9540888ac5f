"""The demonstration's last page: every scenario, every promise, the dead-letter queues, and where to look next."""

from collections.abc import Iterable, Mapping
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.audit.checks import Verdict
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.demo import Report, words
from tools.demo.verdict import Result

_TICK: Final = "[green]✓[/green]"
_CROSS: Final = "[red]✗[/red]"
_WIDE: Final = 116
_MOST_SHOWN: Final = 40
"""Failures that are told one by one: what breaks one order tends to break them all."""
_LONGEST_WORD: Final = len("idempotency-key-reused")


def show(report: Report, console: Console) -> None:
    """Prints what a run came to."""
    console.print(_scenarios(report.results, console.width))
    console.print(_promises(report.verdicts))
    console.print(_dead_letters(report.dead_letters))
    remarks = [remark for verdict in report.verdicts for remark in verdict.remarks]
    for remark in remarks:
        console.print(f"[yellow]![/yellow] {escape(f'{remark.subject} {remark.problem}')}")


def show_outcome(report: Report, settings: Settings, console: Console) -> None:
    """Prints the last word: all is well, or what differed and where to find out why."""
    if not report.failures:
        console.print("\n[green bold]Every order ended as expected, and every promise held.[/green bold]")
        return
    console.print("\n[red bold]Not everything is as it should be:[/red bold]")
    for failure in report.failures[:_MOST_SHOWN]:
        console.print(f"  {_CROSS} {escape(failure)}", soft_wrap=True, highlight=False)
    if len(report.failures) > _MOST_SHOWN:
        console.print(f"  … and {len(report.failures) - _MOST_SHOWN} more")
    console.print(f"\nThe logs of the functions, the emulator and Postgres are in {settings.logs}")


def show_next(settings: Settings, stack: Stack, console: Console, *, is_up: bool) -> None:
    """Prints where to look next. `is_up`: the cloud stays up after this, else it has to be started first."""
    sagas = f"aws stepfunctions list-executions --state-machine-arn {stack['state_machine_arn']}"
    places = (
        *(() if is_up else (("make up", "starts the local cloud and keeps it, for everything below"),)),
        ("bin/orders place --watch", "places an order and shows its saga, step by step"),
        ("bin/orders show ORDER --history", "an order, its steps, and the history of its execution"),
        ("bin/orders status", "processes, orders, queues"),
        (f"{stack['api_url']}/api/v1/products", "the API, for any HTTP client"),
        (str(settings.stack_file), "URLs, users and passwords, the database, the queues"),
        (stack["console_url"], "the emulator"),
        (f"AWS_ENDPOINT_URL={stack['endpoint_url']} {sagas}", "every saga, with the AWS CLI"),
    )
    console.print("\n[bold]Where to look next[/bold]")
    for place, what in places:
        # Never broken into lines: it is there to be copied.
        console.print(f"  {place}\n    [dim]{what}[/dim]", soft_wrap=True, highlight=False)


def _scenarios(results: Iterable[Result], width: int) -> Table:
    """On a narrow terminal the steps stand below what they led to."""
    is_wide = width >= _WIDE
    table = _table("Scenarios")
    table.caption = "▸ forward   ↩ compensation   ×3 attempts   ✗ failed"
    table.caption_justify = "left"
    table.add_column("")
    table.add_column("Scenario")
    for name in ("Expected", "Actual"):
        table.add_column(name, width=_LONGEST_WORD if is_wide else None, overflow="fold")
    if is_wide:
        table.add_column("Steps taken")
    table.add_column("ms to\n202", justify="right")
    table.add_column("ms to\nend", justify="right")
    for result in results:
        colour = "green" if result.is_as_expected else "red"
        actual = f"[{colour}]{escape(words.actual(result))}[/{colour}]"
        steps = words.steps(result)
        table.add_row(
            _TICK if result.is_as_expected else _CROSS,
            result.scenario.name,
            words.expected(result.scenario),
            *((actual, steps) if is_wide else (f"{actual}\n{steps}".rstrip(),)),
            words.milliseconds(result.to_answer),
            words.milliseconds(order.milliseconds for order in result.orders),
        )
    return table


def _promises(verdicts: Iterable[Verdict]) -> Table:
    table = _table("Promises, checked in the database and in the gateway's ledger")
    table.add_column("")
    table.add_column("")
    table.add_column("Promise")
    table.add_column("Checked", justify="right")
    table.add_column("Violations", justify="right")
    for verdict in verdicts:
        violations = f"[red]{len(verdict.violations)}[/red]" if verdict.violations else "0"
        table.add_row(
            _mark(verdict),
            verdict.promise,
            verdict.sentence,
            f"{verdict.checked:,}",
            violations,
        )
    return table


def _mark(verdict: Verdict) -> str:
    """A promise about things that there are none of was not shown to hold."""
    if not verdict.holds:
        return _CROSS
    return _TICK if verdict.checked else "[dim]–[/dim]"


def _dead_letters(depths: Mapping[str, tuple[int, int]]) -> Table:
    table = _table("Dead-letter queues")
    table.add_column("")
    table.add_column("Queue")
    table.add_column("Before", justify="right")
    table.add_column("After", justify="right")
    for queue, (before, after) in depths.items():
        table.add_row(_TICK if after <= before else _CROSS, queue, f"{before}", f"{after}")
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
    )
