"""The demonstration's last page: every scenario, every promise, the dead-letter queues, and where to look next.

What is expected and what happened are described in the same words, so that a reader compares them at a glance.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

from orders.domain import COMPENSATIONS, SagaStep
from tools.audit.executions import Visit
from tools.audit.verdict import Verdict, broken, promise_table
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.console import CROSS, MOST_SHOWN, TICK, WARNING, Console, report_table
from tools.demo.comparison import Result
from tools.demo.scenarios import ACCEPTED, Response, Scenario

_WIDE: Final = 116
_LONGEST_WORD: Final = len("idempotency-key-reused")

_STEP_NAMES: Final[Mapping[str, str]] = {
    SagaStep.VERIFY_STOCK: "Verify",
    SagaStep.RESERVE_INVENTORY: "Reserve",
    SagaStep.PROCESS_PAYMENT: "Pay",
    SagaStep.WAIT_FOR_PAYMENT: "Wait",
    SagaStep.CONFIRM_RESERVATION: "Confirm",
    SagaStep.SEND_CONFIRMATION: "Notify",
    SagaStep.COMPLETE_ORDER: "Complete",
    SagaStep.RESTORE_INVENTORY: "Restore",
    SagaStep.REFUND_PAYMENT: "Refund",
    SagaStep.RELEASE_RESERVATION: "Release",
    SagaStep.SEND_CANCELLATION: "Notify",
    SagaStep.MARK_CANCELLED: "Cancel",
}


@dataclass(frozen=True)
class Report:
    """What a run of the demonstration came to."""

    results: tuple[Result, ...]
    verdicts: tuple[Verdict, ...]
    dead_letters: Mapping[str, tuple[int, int]]
    """Messages in each queue's dead-letter queue, before the run and after it."""
    under_way: tuple[str, ...]
    """What had not come to rest in time."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is not as it should be, a line each. Nothing: the demonstration succeeded."""
        return (
            *(
                f"{result.scenario.name}: {difference}"
                for result in self.results
                for difference in result.differences
            ),
            *(f"not at rest: {thing}" for thing in self.under_way),
            *broken(self.verdicts),
            *(
                f"{queue}: {after - before} messages ended in its dead-letter queue"
                for queue, (before, after) in self.dead_letters.items()
                if after > before
            ),
        )


def show(report: Report, console: Console) -> None:
    """Prints what a run came to."""
    console.print(_scenarios(report.results, console.width))
    console.print(
        promise_table("Promises, checked in the database and in the gateway's ledger", report.verdicts)
    )
    console.print(_dead_letters(report.dead_letters))
    remarks = [remark for verdict in report.verdicts for remark in verdict.remarks]
    for remark in remarks:
        console.print(WARNING, remark.subject, remark.problem)


def show_outcome(report: Report, settings: Settings, console: Console) -> None:
    """Prints the last word: all is well, or what differed and where to find out why."""
    if not report.failures:
        console.print(Text("\nEvery order ended as expected, and every promise held.", "green bold"))
        return
    console.print(Text("\nNot everything is as it should be:", "red bold"))
    for failure in report.failures[:MOST_SHOWN]:
        console.print(Text.assemble("  ", CROSS), failure, soft_wrap=True)
    if len(report.failures) > MOST_SHOWN:
        console.print(f"  … and {len(report.failures) - MOST_SHOWN} more")
    console.print(f"\nThe logs of the functions, the emulator and Postgres are in {settings.logs}")


def show_next(settings: Settings, stack: Stack, console: Console, *, is_up: bool) -> None:
    """Prints where to look next. `is_up`: the cloud stays up after this, else it has to be started first."""
    places = (
        *(() if is_up else (("make up", "starts the local cloud and keeps it, for everything below"),)),
        ("bin/orders place --watch", "places an order and shows its saga, step by step"),
        ("bin/orders list --all", "the customer's orders; bin/orders show ORDER --history tells about one"),
        ("bin/orders mails", "what the customers were sent"),
        ("bin/orders status", "processes, orders, queues"),
        (f"{stack['api_url']}/api/v1/products", "the API, for any HTTP client"),
        (str(settings.stack_file), "URLs, users and passwords, the database, the queues"),
        (f"{stack['api_url']}/api/v1/docs", "its document, to try it in a browser"),
        (stack["console_url"], "the console, the page of operators"),
    )
    console.print(Text("\nWhere to look next", "bold"))
    for place, what in places:
        # Never broken into lines: it is there to be copied.
        console.print(f"  {place}\n   ", Text(what, "dim"), soft_wrap=True)


def _scenarios(results: Iterable[Result], width: int) -> Table:
    """On a narrow terminal the steps stand below what they led to."""
    is_wide = width >= _WIDE
    table = report_table("Scenarios", "", "Scenario")
    table.caption = "▸ forward   ↩ compensation   ×3 attempts   ✗ failed"
    table.caption_justify = "left"
    for name in ("Expected", "Actual"):
        table.add_column(name, width=_LONGEST_WORD if is_wide else None, overflow="fold")
    if is_wide:
        table.add_column("Steps taken")
    table.add_column("ms to\n202", justify="right")
    table.add_column("ms to\nend", justify="right")
    for result in results:
        actual = Text(describe_actual(result), "green" if result.is_as_expected else "red")
        steps = _steps(result)
        table.add_row(
            TICK if result.is_as_expected else CROSS,
            result.scenario.name,
            describe_expected(result.scenario),
            *((actual, steps) if is_wide else (Text("\n").join(part for part in (actual, steps) if part),)),
            _milliseconds(result.response_milliseconds),
            _milliseconds(order.milliseconds for order in result.orders),
        )
    return table


def _dead_letters(depths: Mapping[str, tuple[int, int]]) -> Table:
    table = report_table("Dead-letter queues", "", "Queue", numbers=("Before", "After"))
    for queue, (before, after) in depths.items():
        table.add_row(TICK if after <= before else CROSS, queue, f"{before}", f"{after}")
    return table


def describe_expected(scenario: Scenario) -> str:
    """What the scenario is to come to."""
    endings = Counter(
        {
            _outcome(str(ending.status), ending.reason, ending.money): number
            for ending, number in scenario.endings.items()
        }
    )
    return _summary(Counter(scenario.responses), endings)


def describe_actual(result: Result) -> str:
    """What it came to."""
    endings = Counter(
        _outcome(str(order.status or "unknown"), order.reason, order.money) for order in result.orders
    )
    return _summary(result.responses, endings)


def _steps(result: Result) -> Text:
    """The ways the orders took through the saga; equal ways are told once."""
    ways = Counter(_way(order.visits) for order in result.orders)
    return Text("\n").join(Text.assemble(_times(number, ""), *way) for way, number in ways.items())


def _way(visits: Iterable[Visit]) -> tuple[tuple[str, str], ...]:
    """Words with their styles."""
    way: list[tuple[str, str]] = []
    for visit in visits:
        is_forward = visit.state not in COMPENSATIONS
        if way:
            way.append((" ▸ " if is_forward else " ↩ ", "dim"))
        way.append(_visit(visit, "green" if is_forward else "yellow"))
    return tuple(way) or (("none", "dim"),)


def _visit(visit: Visit, colour: str) -> tuple[str, str]:
    attempts = len(visit.errors) + (1 if visit.succeeded else 0)
    repeated = f"×{attempts}" if attempts > 1 else ""
    name = _STEP_NAMES.get(visit.state, visit.state)
    return (f"{name}{repeated}", colour) if visit.succeeded else (f"{name}{repeated}✗", "red")


def _summary(responses: Counter[Response], endings: Counter[str]) -> str:
    """Responses are told unless they are what they always are: 202 for every order."""
    lines = []
    if responses != Counter({ACCEPTED: endings.total()}):
        lines += [_times(number, str(response)) for response, number in responses.items()]
        lines.append({0: "no order", 1: "one order"}.get(endings.total(), f"{endings.total()} orders"))
    lines += [_times(number, ending) for ending, number in sorted(endings.items(), reverse=True)]
    return "\n".join(lines)


def _outcome(status: str, reason: str | None, money: str) -> str:
    return "\n".join(part for part in (status, reason, money) if part)


def _times(number: int, what: str) -> str:
    return what if number == 1 else f"{number} × {what}"


def _milliseconds(values: Iterable[float | None]) -> str:
    """One value, or the range; `–` for what was not reached."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "–"
    low, high = (f"{value:,.0f}" for value in (known[0], known[-1]))
    return low if low == high else f"{low} –\n{high}"
