"""Holds what happened against what a scenario expects. Pure: everything it needs to know it is given."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from orders.domain import FailureReason, OrderStatus, SagaStep
from orders.errors import PaymentGatewayUnavailable
from tools.audit.database import Charge
from tools.audit.executions import Visit
from tools.console import money
from tools.demo.placing import PATIENCE_SECONDS, Followed, Run
from tools.demo.scenarios import Ending, Money, Response, Scenario, charged_and_partly_refunded

_Outcome = tuple[OrderStatus | None, FailureReason | None, str]
"""What an order is expected to come to, apart from the way there."""


@dataclass(frozen=True)
class Records:
    """What is known of the orders from elsewhere than the API."""

    visits: Mapping[UUID, tuple[Visit, ...]]
    """From Step Functions' history."""
    charges: Mapping[UUID, Charge]
    """From the gateway's ledger."""
    notices: Mapping[UUID, tuple[str, ...]]
    """From the notifications sent."""


@dataclass(frozen=True)
class Ended:
    """How one order really ended."""

    order_id: UUID
    status: OrderStatus | None
    reason: FailureReason | None
    money: str
    visits: tuple[Visit, ...]
    milliseconds: float | None


@dataclass(frozen=True)
class Result:
    """A scenario, what came of it, and every difference between the two."""

    scenario: Scenario
    responses: Counter[Response]
    response_milliseconds: tuple[float, ...]
    """Milliseconds from each POST to its response."""
    orders: tuple[Ended, ...]
    differences: tuple[str, ...]

    @property
    def is_as_expected(self) -> bool:
        return not self.differences


def compare(run: Run, records: Records) -> Result:
    """What came of a scenario, and how it differs from what was expected."""
    scenario = run.scenario
    responses = Counter(posted.response for posted in run.posted)
    orders = tuple(_ended(order, records) for order in run.orders.values())
    return Result(
        scenario,
        responses,
        tuple(sorted(posted.milliseconds for posted in run.posted)),
        orders,
        differences=(
            *_differing_responses(scenario, responses),
            *_differing_totals(run.orders.values()),
            *_unfinished(run.orders.values()),
            *_differing_endings(scenario, orders),
            *_differing_details(scenario, orders, records),
        )
        if run.is_started
        else ("was not played: an order of an earlier one did not end",),
    )


def _ended(order: Followed, records: Records) -> Ended:
    order_id = order.accepted.order_id
    return Ended(
        order_id,
        order.progress.status if order.progress else None,
        order.progress.failure_reason if order.progress else None,
        describe_charge(
            records.charges.get(order_id, Charge()), order.accepted.total_amount, order.accepted.currency
        ),
        records.visits.get(order_id, ()),
        order.milliseconds,
    )


def describe_charge(charge: Charge, total_amount: int, currency: str) -> str:
    """What the gateway did with an order's total; one of `Money`, if it is anything that should be."""
    if charge == Charge():
        return Money.NOT_CHARGED
    if charge == Charge(captures=1, captured=total_amount):
        return Money.CHARGED_ONCE
    if charge == Charge(captures=1, captured=total_amount, refunded=total_amount):
        return "charged and refunded"
    if charge == Charge(captures=1, captured=total_amount, refunded=charge.refunded):
        return charged_and_partly_refunded(charge.refunded, currency)
    captured, refunded = (money(amount, currency) for amount in (charge.captured, charge.refunded))
    return f"captured {captured} in {charge.captures}, refunded {refunded}"


def _differing_responses(scenario: Scenario, responses: Counter[Response]) -> Iterable[str]:
    if responses != Counter(scenario.responses):
        yield f"answers: {_counted(responses)} instead of {_counted(scenario.responses)}"


def _differing_totals(orders: Iterable[Followed]) -> Iterable[str]:
    for order in orders:
        if order.accepted.total_amount != order.post.total_amount:
            yield (
                f"order {order.accepted.order_id}: total "
                f"{money(order.accepted.total_amount, order.accepted.currency)} "
                f"instead of {money(order.post.total_amount, order.accepted.currency)}"
            )


def _unfinished(orders: Iterable[Followed]) -> Iterable[str]:
    for order in orders:
        if order.milliseconds is None:
            last_word = f"; its status could not be read: {order.trouble}" if order.trouble else ""
            yield f"order {order.accepted.order_id}: did not end within {PATIENCE_SECONDS} s{last_word}"


def _differing_endings(scenario: Scenario, orders: Sequence[Ended]) -> Iterable[str]:
    expected = Counter({_outcome(ending): number for ending, number in scenario.endings.items()})
    actual: Counter[_Outcome] = Counter((order.status, order.reason, order.money) for order in orders)
    if actual != expected:
        yield f"orders: {_listed(actual)} instead of {_listed(expected)}"


def _differing_details(scenario: Scenario, orders: Sequence[Ended], records: Records) -> Iterable[str]:
    by_outcome = {_outcome(ending): ending for ending in scenario.endings}
    for order in orders:
        ending = by_outcome.get((order.status, order.reason, order.money))
        if ending is None:
            continue
        route = tuple(visit.state for visit in order.visits)
        if route not in ending.routes:
            wanted = " or ".join(" ▸ ".join(allowed) for allowed in ending.routes)
            yield f"order {order.order_id}: went {' ▸ '.join(route) or 'nowhere'} instead of {wanted}"
        failures = _gateway_failures(order.visits)
        if ending.gateway_failures not in (None, failures):
            yield (
                f"order {order.order_id}: the gateway was unavailable {failures} times "
                f"instead of {ending.gateway_failures}"
            )
        told = records.notices.get(order.order_id, ())
        if told != ending.told:
            yield f"order {order.order_id}: told {', '.join(told) or 'nothing'} instead of {', '.join(ending.told)}"


def _outcome(ending: Ending) -> _Outcome:
    return ending.status, ending.reason, ending.money


def _gateway_failures(visits: Iterable[Visit]) -> int:
    return sum(
        visit.errors.count(PaymentGatewayUnavailable.__name__)
        for visit in visits
        if visit.state == SagaStep.PROCESS_PAYMENT
    )


def _counted(responses: Mapping[Response, int]) -> str:
    return ", ".join(f"{number} × {response}" for response, number in responses.items()) or "none"


def _listed(outcomes: Mapping[_Outcome, int]) -> str:
    return (
        ", ".join(
            " ".join(str(part) for part in (f"{number} ×", *outcome) if part)
            for outcome, number in outcomes.items()
        )
        or "none"
    )
