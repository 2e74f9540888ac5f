"""A demonstration that is always content shows nothing: every difference has to be noticed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from orders.domain import FORWARD_STEPS, FailureReason, OrderStatus, SagaStep
from orders.ids import uuid7
from tools.audit.database import Charge
from tools.audit.executions import Visit
from tools.audit.verdict import Verdict, Violation
from tools.client.http import Problem
from tools.client.orders_client import Accepted, Progress
from tools.cloud.settings import Settings
from tools.console import Console, money
from tools.demo.comparison import Records, Result, compare, describe_charge
from tools.demo.placing import Followed, PostResult, Run
from tools.demo.report import Report, describe_actual, describe_expected, show, show_outcome
from tools.demo.scenarios import Response, Scenario, scenarios

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scenario(beginning: str) -> Scenario:
    (found,) = [candidate for candidate in scenarios() if candidate.name.startswith(beginning)]
    return found


def run_as_expected(expected: Scenario) -> tuple[Run, dict[UUID, Charge], dict[UUID, tuple[str, ...]]]:
    """A run in which the orders end as the scenario says; its charges and notices."""
    run = Run(expected, is_started=True, is_over=True)
    charges: dict[UUID, Charge] = {}
    notices: dict[UUID, tuple[str, ...]] = {}
    responses = [response for response, number in expected.responses.items() for _ in range(number)]
    endings = iter([ending for ending, number in expected.endings.items() for _ in range(number)])
    last: Accepted | None = None
    for post, response in zip(expected.posts, responses, strict=True):
        if response.status != 202:
            problem = Problem(type=f"https://orders.example/problems/{response.problem}")
            run.posted.append(PostResult(post, 5.0, status=response.status, problem=problem))
            continue
        ending = next(endings, None)
        if ending:
            last = Accepted(
                order_id=uuid7(),
                status=OrderStatus.PENDING,
                total_amount=post.total_amount,
                currency="USD",
                created_at=NOW,
            )
            progress = Progress(
                order_id=last.order_id,
                status=ending.status,
                failure_reason=ending.reason,
                progress=100,
                steps=(),
            )
            run.orders[last.order_id] = Followed(post, last, 0.0, progress, milliseconds=400.0)
            refunded = post.returned.unit_price if post.returned else 0
            is_charged = ending.money.startswith("charged once")
            charges[last.order_id] = Charge(1, post.total_amount, refunded) if is_charged else Charge()
            notices[last.order_id] = ending.told
        run.posted.append(PostResult(post, 5.0, last))
    return run, charges, notices


def visits_as_expected(run: Run) -> dict[UUID, tuple[Visit, ...]]:
    endings = iter([ending for ending, number in run.scenario.endings.items() for _ in range(number)])
    found = {}
    for order_id, ending in zip(run.orders, endings, strict=True):
        errors = ("PaymentGatewayUnavailable",) * (ending.gateway_failures or 0)
        found[order_id] = tuple(
            Visit(step, errors if step is SagaStep.PROCESS_PAYMENT else (), succeeded=True)
            for step in ending.routes[0]
        )
    return found


def result_of(expected: Scenario) -> Result:
    run, charges, notices = run_as_expected(expected)
    return compare(run, Records(visits_as_expected(run), charges, notices))


def test_every_scenario_is_played_in_this_order() -> None:
    assert [played.name for played in scenarios()] == [
        "Two products",
        "Card declined",
        "Suspected fraud",
        "Charged, then timed out",
        "Flaky gateway",
        "Customer cancels",
        "Gateway down",
        "Out of stock",
        "Inactive product",
        "8 race for the last 5",
        "20 posts with one key",
        "One key, another body",
        "Customer must act",
        "One unit returned",
    ]


def test_no_two_runs_share_a_product_with_an_exact_stock() -> None:
    first, second = ({product.id for played in scenarios() for product in played.products} for _ in range(2))
    assert len(first) == len(second) == 2
    assert not first & second


@pytest.mark.parametrize("expected", scenarios(), ids=lambda expected: expected.name)
def test_a_scenario_that_goes_as_expected_differs_in_nothing(expected: Scenario) -> None:
    result = result_of(expected)
    assert result.differences == ()
    assert describe_actual(result) == describe_expected(expected)


def judged_with(
    expected: Scenario,
    *,
    status: OrderStatus | None = None,
    charge: Charge | None = None,
    visits: Sequence[Visit] | None = None,
    notices: tuple[str, ...] | None = None,
) -> tuple[str, ...]:
    """The differences when one order's end is another one."""
    run, charges, told = run_as_expected(expected)
    ways = visits_as_expected(run)
    order_id, order = next(iter(run.orders.items()))
    assert order.progress
    if status:
        order.progress = order.progress.model_copy(update={"status": status})
    if charge:
        charges[order_id] = charge
    if visits is not None:
        ways[order_id] = tuple(visits)
    if notices is not None:
        told[order_id] = notices
    return compare(run, Records(ways, charges, told)).differences


def test_another_status_is_a_difference() -> None:
    (difference,) = judged_with(scenario("Card declined"), status=OrderStatus.CONFIRMED)
    assert difference == (
        "orders: 1 × CONFIRMED PAYMENT_DECLINED not charged instead of 1 × CANCELLED PAYMENT_DECLINED not charged"
    )


def test_a_sixth_buyer_of_five_units_is_a_difference() -> None:
    run, charges, told = run_as_expected(scenario("8 race"))
    loser = list(run.orders.values())[-1]
    assert loser.progress
    loser.progress = loser.progress.model_copy(
        update={"status": OrderStatus.CONFIRMED, "failure_reason": None}
    )
    order_id = loser.accepted.order_id
    charges[order_id] = Charge(captures=1, captured=loser.accepted.total_amount)
    ways = visits_as_expected(run)
    ways[order_id] = tuple(Visit(step, succeeded=True) for step in FORWARD_STEPS)
    told[order_id] = ("order_confirmed",)
    (difference,) = compare(run, Records(ways, charges, told)).differences
    assert difference.startswith("orders: 6 × CONFIRMED charged once, 2 × CANCELLED INSUFFICIENT_STOCK")


def test_a_double_charge_is_a_difference() -> None:
    total = scenario("Charged").posts[0].total_amount
    differences = judged_with(
        scenario("Charged"), charge=Charge(captures=2, captured=2 * total, refunded=total)
    )
    told = f"captured {money(2 * total, 'USD')} in 2, refunded {money(total, 'USD')}"
    assert any(told in difference for difference in differences)


def test_compensations_in_another_order_are_a_difference() -> None:
    way = [
        Visit(SagaStep.VERIFY_STOCK, succeeded=True),
        Visit(SagaStep.RESERVE_INVENTORY, succeeded=True),
        Visit(SagaStep.PROCESS_PAYMENT, ("PaymentDeclined",)),
        Visit(SagaStep.RELEASE_RESERVATION, succeeded=True),
        Visit(SagaStep.REFUND_PAYMENT, succeeded=True),
        Visit(SagaStep.SEND_CANCELLATION, succeeded=True),
        Visit(SagaStep.MARK_CANCELLED, succeeded=True),
    ]
    (difference,) = judged_with(scenario("Card declined"), visits=way)
    assert "ProcessPayment ▸ ReleaseReservation ▸ RefundPayment" in difference


def test_a_gateway_that_did_not_fail_as_often_as_it_should_is_a_difference() -> None:
    way = [Visit(step, succeeded=True) for step in FORWARD_STEPS]
    (difference,) = judged_with(scenario("Flaky"), visits=way)
    assert difference.endswith("the gateway was unavailable 0 times instead of 2")


@pytest.mark.parametrize("told", [(), ("order_cancelled",), ("order_confirmed", "order_confirmed")])
def test_another_mail_none_or_a_second_one_is_a_difference(told: tuple[str, ...]) -> None:
    (difference,) = judged_with(scenario("Two products"), notices=told)
    assert difference.endswith("instead of order_confirmed")


def test_an_order_that_does_not_end_is_a_difference() -> None:
    expected = scenario("Two products")
    run, charges, told = run_as_expected(expected)
    (order,) = run.orders.values()
    order.progress, order.milliseconds = None, None
    differences = compare(run, Records({}, charges, told)).differences
    assert any(difference.endswith("did not end within 60 s") for difference in differences)


def test_an_order_whose_status_cannot_be_read_says_why() -> None:
    run, charges, told = run_as_expected(scenario("Two products"))
    (order,) = run.orders.values()
    order.milliseconds, order.trouble = None, "500 Something went wrong"
    differences = compare(run, Records(visits_as_expected(run), charges, told)).differences
    assert any("its status could not be read: 500 Something went wrong" in text for text in differences)


def test_a_scenario_that_was_not_played_says_so_and_nothing_else() -> None:
    result = compare(Run(scenario("Card declined")), Records({}, {}, {}))
    assert result.differences == ("was not played: an order of an earlier one did not end",)


def test_a_wrong_total_is_a_difference() -> None:
    run, charges, told = run_as_expected(scenario("Two products"))
    (order,) = run.orders.values()
    order.accepted = order.accepted.model_copy(update={"total_amount": 1})
    differences = compare(run, Records(visits_as_expected(run), charges, told)).differences
    assert any("total 0.01 USD instead of 227.00 USD" in difference for difference in differences)


def test_a_refusal_for_another_reason_is_a_difference() -> None:
    run, charges, told = run_as_expected(scenario("One key, another"))
    refused = run.posted[-1]
    run.posted[-1] = PostResult(refused.post, 5.0, status=500, problem=Problem(type="x/internal-error"))
    (difference,) = compare(run, Records(visits_as_expected(run), charges, told)).differences
    assert difference == (
        "answers: 1 × 202, 1 × 500 internal-error instead of 1 × 202, 1 × 422 idempotency-key-reused"
    )


def test_a_second_order_under_one_key_is_a_difference() -> None:
    run, charges, _ = run_as_expected(scenario("20 posts"))
    (order,) = run.orders.values()
    second = order.accepted.model_copy(update={"order_id": uuid7()})
    run.orders[second.order_id] = Followed(order.post, second, 0.0, order.progress, milliseconds=400.0)
    records = Records(
        visits=dict.fromkeys(run.orders, tuple(Visit(step, succeeded=True) for step in FORWARD_STEPS)),
        charges=dict.fromkeys(run.orders, charges[order.accepted.order_id]),
        notices=dict.fromkeys(run.orders, ("order_confirmed",)),
    )
    (difference,) = compare(run, records).differences
    assert difference == "orders: 2 × CONFIRMED charged once instead of 1 × CONFIRMED charged once"


def test_money_is_told_as_the_ledger_has_it() -> None:
    assert describe_charge(Charge(), 500, "USD") == "not charged"
    assert describe_charge(Charge(1, 500), 500, "USD") == "charged once"
    assert describe_charge(Charge(1, 500, 500), 500, "USD") == "charged and refunded"
    assert describe_charge(Charge(1, 500, 120), 500, "USD") == "charged once, 1.20 USD refunded"
    assert describe_charge(Charge(1, 400), 500, "USD") == "captured 4.00 USD in 1, refunded 0.00 USD"


def report(**changes: object) -> Report:
    whole: dict[str, object] = {
        "results": tuple(result_of(expected) for expected in scenarios()),
        "verdicts": (Verdict("I1", "Every order ends", 21),),
        "dead_letters": {"order-processing": (3, 3)},
        "under_way": (),
        **changes,
    }
    return Report(**whole)  # type: ignore[arg-type]


def test_a_report_without_a_fault_has_no_failures() -> None:
    assert report().failures == ()


def test_a_report_fails_for_whatever_is_not_as_it_should_be() -> None:
    broken = Verdict("I2", "Captured once", 1, (Violation("order-1", "2 captures"),))
    assert report(verdicts=(broken,)).failures == ("I2 broken: order-1 2 captures",)
    assert report(dead_letters={"order-processing": (3, 4)}).failures == (
        "order-processing: 1 messages ended in its dead-letter queue",
    )
    assert report(under_way=("order 1 is PENDING",)).failures == ("not at rest: order 1 is PENDING",)
    (unlike,) = [result for result in report().results if result.scenario.name == "Card declined"]
    differing = Result(
        unlike.scenario,
        unlike.responses,
        unlike.response_milliseconds,
        unlike.orders,
        differences=("told nothing",),
    )
    assert report(results=(differing,)).failures == ("Card declined: told nothing",)


def test_the_table_shows_every_scenario_with_what_was_expected_and_what_happened() -> None:
    console = Console(width=160)
    with console.capture() as captured:
        show(report(), console)
    printed = captured.get()
    for played in scenarios():
        assert played.name in printed
    assert "3 × CANCELLED" in printed
    assert "Pay×3" in printed
    assert "20 × 202" in printed
    assert "422 invalid-request" in printed


def test_a_failure_is_printed_as_it_is_whatever_brackets_it_holds() -> None:
    told = report(verdicts=(Verdict("I8", "…", 1, (Violation("event-1", "refused: [/bold] [red]"),)),))
    console = Console(width=160)
    with console.capture() as captured:
        show(told, console)
        show_outcome(told, Settings.from_environment(), console)
    assert "event-1 refused: [/bold] [red]" in captured.get()


def test_responses_say_why_they_refuse() -> None:
    assert str(Response(422, "invalid-request")) == "422 invalid-request"
    assert str(Response(202)) == "202"


def test_a_reason_is_told_with_its_status() -> None:
    assert describe_expected(scenario("Gateway down")) == "CANCELLED\nPAYMENT_UNAVAILABLE\nnot charged"
    assert FailureReason.PAYMENT_UNAVAILABLE in describe_expected(scenario("Gateway down"))
