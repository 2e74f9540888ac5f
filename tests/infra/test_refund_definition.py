"""The state machine of a refund, as `statemachines/order_refund.asl.json` has it."""

import json
from typing import Any

import pytest

from infra.saga_definition import REFUND_SOURCE, refund_definition
from orders import errors
from orders.domain import RefundStep
from tests.infra.stacks import SynthesizedStack
from tests.infra.test_saga_definition import delays

MACHINE: dict[str, Any] = refund_definition()
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
FORWARD = ["BeginRefund", "RefundPayment", "RestockItems", "SendRefundNotice"]


def retrier(step: str, error: str) -> dict[str, Any]:
    """The Retry of a state that matches an error first."""
    rules = TASKS[step]["Retry"]
    return next(
        rule for rule in rules if error in rule["ErrorEquals"] or rule["ErrorEquals"] == ["States.ALL"]
    )


def longest(step: str) -> float:
    """Seconds that a task takes if every attempt of every Retry runs into its timeout."""
    task = TASKS[step]
    attempts = 1 + sum(rule["MaxAttempts"] for rule in task["Retry"])
    return float(attempts * task["TimeoutSeconds"] + sum(sum(delays(rule)) for rule in task["Retry"]))


def test_money_first_then_stock_then_the_notice() -> None:
    entered = [MACHINE["StartAt"]]
    while not STATES[entered[-1]].get("End"):
        entered.append(STATES[entered[-1]]["Next"])
    assert entered == FORWARD
    assert list(TASKS) == [str(step) for step in RefundStep]


@pytest.mark.parametrize("step", FORWARD)
def test_what_fails_for_good_is_left_to_an_operator(step: str) -> None:
    closed, rest = TASKS[step]["Catch"]
    assert (closed["ErrorEquals"], closed["Next"]) == (["RefundClosed"], "AlreadyClosed")
    assert (rest["ErrorEquals"], rest["Next"]) == (["States.ALL"], "MarkForReview")
    assert rest["Assign"]["failure"]["step"] == step


@pytest.mark.parametrize("step", FORWARD)
@pytest.mark.parametrize("error", errors.FINAL_ERRORS)
def test_a_final_answer_is_never_asked_for_again(step: str, error: str) -> None:
    assert retrier(step, error)["MaxAttempts"] == 0


def test_what_the_provider_refuses_is_not_asked_for_again() -> None:
    assert retrier("RefundPayment", "RefundRefused")["MaxAttempts"] == 0


@pytest.mark.parametrize("step", TASKS)
def test_what_is_transient_is_retried_for_minutes_with_jitter(step: str) -> None:
    for error in ("PaymentGatewayUnavailable", "DatabaseUnavailable", "States.Timeout"):
        rule = retrier(step, error)
        assert sum(delays(rule)) > 5 * 60
        assert rule["JitterStrategy"] == "FULL"


def test_a_refund_waits_for_the_circuit_for_an_hour_or_so() -> None:
    rule = retrier("RefundPayment", "PaymentGatewayCircuitOpen")
    assert 3000 <= sum(delays(rule)) / 2 <= 7200


def test_what_cannot_be_marked_fails_its_execution_so_that_the_alarm_fires() -> None:
    assert "Catch" not in STATES["MarkForReview"]


def test_every_task_has_a_timeout_and_the_machine_outlives_them() -> None:
    assert {task["TimeoutSeconds"] for task in TASKS.values()} == {30}
    slowest = sum(map(longest, TASKS))
    assert slowest <= MACHINE["TimeoutSeconds"] <= 1.2 * slowest


def test_every_rule_of_retrying_is_used_and_every_state_says_why_it_is_there() -> None:
    source = json.loads(REFUND_SOURCE.read_text(encoding="utf-8"))
    used = {name for state in source["States"].values() for name in state.get("Retry", [])}
    assert used == source["Retriers"].keys() - {"Comment"}
    assert all(state.get("Comment") for state in STATES.values())


def test_what_is_deployed_is_this_definition(stack: SynthesizedStack) -> None:
    machine = stack.state_machine("order-refund")
    assert json.loads(machine["DefinitionString"]) == MACHINE
    assert (
        stack.name_of(machine["DefinitionSubstitutions"]["RefundStepsFunctionArn"]) == "function refund-steps"
    )
    for task in TASKS.values():
        assert task["Arguments"]["FunctionName"] == "${RefundStepsFunctionArn}"
        assert stack.functions["refund-steps"]["Timeout"] < task["TimeoutSeconds"]
