"""Says what is expected and what happened in the same words, so that a reader compares them at a glance."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from orders.domain import FORWARD_STEPS, SagaStep
from tools.audit.executions import Visit
from tools.demo.scenarios import ACCEPTED, Answer, Scenario
from tools.demo.verdict import Result

STEP_WORDS: Final[Mapping[str, str]] = {
    SagaStep.VERIFY_STOCK: "Verify",
    SagaStep.RESERVE_INVENTORY: "Reserve",
    SagaStep.PROCESS_PAYMENT: "Pay",
    SagaStep.CONFIRM_RESERVATION: "Confirm",
    SagaStep.SEND_CONFIRMATION: "Notify",
    SagaStep.COMPLETE_ORDER: "Complete",
    SagaStep.RESTORE_INVENTORY: "Restore",
    SagaStep.REFUND_PAYMENT: "Refund",
    SagaStep.RELEASE_RESERVATION: "Release",
    SagaStep.SEND_CANCELLATION: "Notify",
    SagaStep.MARK_CANCELLED: "Cancel",
}


def expected(scenario: Scenario) -> str:
    """What the scenario is to come to."""
    endings = Counter(
        {
            _outcome(str(ending.status), ending.reason, ending.money): number
            for ending, number in scenario.endings.items()
        }
    )
    return _summary(Counter(scenario.answers), endings)


def actual(result: Result) -> str:
    """What it came to."""
    endings = Counter(
        _outcome(str(order.status or "unknown"), order.reason, order.money) for order in result.orders
    )
    return _summary(result.answers, endings)


def steps(result: Result) -> str:
    """The ways the orders took through the saga, in Rich's markup; equal ways are told once."""
    ways = Counter(_way(order.visits) for order in result.orders)
    return "\n".join(_times(number, way) for way, number in ways.items())


def _way(visits: Iterable[Visit]) -> str:
    way = ""
    for visit in visits:
        is_forward = visit.state in FORWARD_STEPS
        arrow = "" if not way else " ▸ " if is_forward else " ↩ "
        way += f"[dim]{arrow}[/dim]{_visit(visit, 'green' if is_forward else 'yellow')}"
    return way or "[dim]none[/dim]"


def _visit(visit: Visit, colour: str) -> str:
    attempts = len(visit.errors) + (1 if visit.succeeded else 0)
    repeated = f"×{attempts}" if attempts > 1 else ""
    word = STEP_WORDS.get(visit.state, visit.state)
    return f"[{colour}]{word}{repeated}[/{colour}]" if visit.succeeded else f"[red]{word}{repeated}✗[/red]"


def _summary(answers: Counter[Answer], endings: Counter[str]) -> str:
    """Answers are told unless they are what they always are: 202 for every order."""
    lines = []
    if answers != Counter({ACCEPTED: endings.total()}):
        lines += [_times(number, str(answer)) for answer, number in answers.items()]
        lines.append({0: "no order", 1: "one order"}.get(endings.total(), f"{endings.total()} orders"))
    lines += [_times(number, ending) for ending, number in sorted(endings.items(), reverse=True)]
    return "\n".join(lines)


def _outcome(status: str, reason: str | None, money: str) -> str:
    return "\n".join(part for part in (status, reason, money) if part)


def _times(number: int, what: str) -> str:
    return what if number == 1 else f"{number} × {what}"


def milliseconds(values: Iterable[float | None]) -> str:
    """One value, or the range; `–` for what was not reached."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "–"
    low, high = (f"{value:,.0f}" for value in (known[0], known[-1]))
    return low if low == high else f"{low} –\n{high}"
