"""The state machine, as `statemachines/order_saga.asl.json` has it."""

import json
import re
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import jsonata  # type: ignore[import-untyped]
import pytest

from infra.names import kebab
from infra.saga_definition import SOURCE, saga_definition
from infra.stages import STAGES
from orders import domain, errors
from orders.domain import COMPENSATIONS, FORWARD_STEPS
from tests.infra.stacks import SynthesizedStack

MACHINE: dict[str, Any] = saga_definition()
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
WAIT = STATES["WaitForPayment"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}

CIRCUIT_OPEN = "PaymentGatewayCircuitOpen"
NOT_OURS = ("States.", "Lambda.", "Sandbox.")
ORDER = {"orderId": "o", "correlationId": "c", "traceparent": "t"}
CALL = {"execution": "order-o", "attempt": 3}
"""Which invocation of which execution a step is told to be."""


def error_names() -> set[str]:
    """Every error that a Retry or a Catch names."""
    return {
        name
        for task in TASKS.values()
        for rule in (*task["Retry"], *task["Catch"])
        for name in rule["ErrorEquals"]
    }


def catcher(state: str, error: str) -> dict[str, Any]:
    """The Catch of a state that matches an error first."""
    for rule in TASKS[state]["Catch"]:
        if error in rule["ErrorEquals"] or rule["ErrorEquals"] == ["States.ALL"]:
            return dict(rule)
    raise AssertionError(f"{state} does not catch {error}")


def retrier(state: str, error: str) -> dict[str, Any]:
    """The Retry of a state that matches an error first."""
    for rule in TASKS[state]["Retry"]:
        if error in rule["ErrorEquals"] or rule["ErrorEquals"] == ["States.ALL"]:
            return dict(rule)
    raise AssertionError(f"{state} does not retry {error}")


def compensations_after(step: str) -> list[str]:
    """The states entered after a step has failed for good."""
    entered = [catcher(step, "States.Timeout")["Next"]]
    while "Next" in STATES[entered[-1]]:
        entered.append(STATES[entered[-1]]["Next"])
    return entered


def delays(retry: dict[str, Any]) -> list[float]:
    """The longest wait before each attempt of a Retry, in seconds."""
    attempts = retry["MaxAttempts"]
    if attempts == 0:
        return []
    growing = accumulate(
        range(attempts - 1), lambda delay, _: delay * retry["BackoffRate"], initial=retry["IntervalSeconds"]
    )
    return [min(delay, retry.get("MaxDelaySeconds", delay)) for delay in growing]


def longest(state: str) -> float:
    """Seconds that a Task takes if every attempt of every Retry runs into its timeout."""
    task = TASKS[state]
    attempts = 1 + sum(retry["MaxAttempts"] for retry in task["Retry"])
    waiting = sum(delay for retry in task["Retry"] for delay in delays(retry))
    return float(attempts * task["TimeoutSeconds"] + waiting)


# The way forward


def test_a_confirmed_order_takes_six_transitions() -> None:
    entered = [MACHINE["StartAt"]]
    while not STATES[entered[-1]].get("End"):
        entered.append(STATES[entered[-1]]["Next"])
    assert entered == [
        "VerifyStock",
        "ReserveInventory",
        "ProcessPayment",
        "ConfirmReservation",
        "SendConfirmation",
        "CompleteOrder",
    ]


@pytest.mark.parametrize("step", FORWARD_STEPS)
@pytest.mark.parametrize("error", errors.FINAL_ERRORS)
def test_a_final_answer_is_never_asked_for_again(step: str, error: str) -> None:
    assert retrier(step, error)["MaxAttempts"] == 0


@pytest.mark.parametrize("step", FORWARD_STEPS)
@pytest.mark.parametrize("error", ["PaymentGatewayUnavailable", "DatabaseUnavailable", "States.Timeout"])
def test_a_transient_failure_is_retried_after_2_4_and_8_seconds_with_jitter(step: str, error: str) -> None:
    retry = retrier(step, error)
    assert delays(retry) == [2, 4, 8]
    assert retry["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("state", TASKS)
@pytest.mark.parametrize("error", ["Lambda.TooManyRequestsException", "Lambda.Unknown"])
def test_a_throttled_step_waits_its_turn(state: str, error: str) -> None:
    """`Lambda.Unknown` is what the local cloud calls a throttle."""
    retry = retrier(state, error)
    assert len(delays(retry)) >= 20
    assert max(delays(retry)) <= 10
    assert retry["JitterStrategy"] == "FULL"


# The wait for a customer


def test_a_payment_that_needs_its_customer_waits_and_is_asked_for_again() -> None:
    assert catcher("ProcessPayment", "PaymentActionRequired") == {
        "ErrorEquals": ["PaymentActionRequired"],
        "Next": "WaitForPayment",
    }
    assert WAIT["Next"] == "ProcessPayment"


@pytest.mark.parametrize("error", ["States.Timeout", "DatabaseUnavailable", "ServiceUnavailable"])
def test_whatever_ends_the_wait_the_gateway_is_asked(error: str) -> None:
    assert catcher("WaitForPayment", error) == {"ErrorEquals": ["States.ALL"], "Next": "ProcessPayment"}


def test_a_wait_whose_time_is_over_is_not_repeated_by_itself() -> None:
    assert retrier("WaitForPayment", "States.Timeout")["MaxAttempts"] == 0


def test_who_waits_gets_the_token_that_wakes_the_execution() -> None:
    payload = evaluated(WAIT["Arguments"]["Payload"], execution_input=ORDER)
    assert payload == {**ORDER, **CALL, "taskToken": "token-1"}


def test_the_token_is_in_no_log(stack: SynthesizedStack) -> None:
    """Errors are logged with their data. What a task is given is in its event TaskScheduled, which is logged at ALL."""
    logging = stack.state_machine()["LoggingConfiguration"]
    assert logging["Level"] == "ERROR"


# The way back


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("VerifyStock", ["SendCancellation", "MarkCancelled"]),
        ("ReserveInventory", ["ReleaseReservation", "SendCancellation", "MarkCancelled"]),
        ("ProcessPayment", ["RefundPayment", "ReleaseReservation", "SendCancellation", "MarkCancelled"]),
        ("ConfirmReservation", list(COMPENSATIONS)),
        ("SendConfirmation", list(COMPENSATIONS)),
        ("CompleteOrder", list(COMPENSATIONS)),
    ],
)
def test_a_failed_step_enters_the_compensations_at_its_own(step: str, expected: list[str]) -> None:
    assert compensations_after(step) == expected


@pytest.mark.parametrize("step", FORWARD_STEPS)
def test_a_refused_step_enters_the_compensations_at_their_beginning(step: str) -> None:
    """Its saga had turned back before: whatever had been done by then is to be undone."""
    assert catcher(step, "StepFenced")["Next"] == COMPENSATIONS[0]


@pytest.mark.parametrize("step", TASKS)
def test_only_who_calls_the_gateway_waits_for_its_circuit_and_for_an_hour_or_so(step: str) -> None:
    """Trap T7: an open breaker delays, it does not cancel."""
    waits = [rule for rule in TASKS[step]["Retry"] if rule["ErrorEquals"] == [CIRCUIT_OPEN]]
    assert len(waits) == (step in ("ProcessPayment", "RefundPayment"))
    for wait in waits:
        # Full jitter waits half of it on average.
        assert 3000 <= sum(delays(wait)) / 2 <= 7200
        assert wait["JitterStrategy"] == "FULL"


def test_compensations_run_in_one_order() -> None:
    assert COMPENSATIONS == (
        "RestoreInventory",
        "RefundPayment",
        "ReleaseReservation",
        "SendCancellation",
        "MarkCancelled",
    )
    assert all(STATES[one]["Next"] == other for one, other in pairwise(COMPENSATIONS))


@pytest.mark.parametrize(("compensation", "following"), list(pairwise(COMPENSATIONS)))
def test_a_compensation_that_fails_does_not_stop_the_next(compensation: str, following: str) -> None:
    assert catcher(compensation, "DatabaseUnavailable")["Next"] == following


@pytest.mark.parametrize("compensation", COMPENSATIONS)
def test_a_compensation_is_retried_for_minutes(compensation: str) -> None:
    retry = retrier(compensation, "DatabaseUnavailable")
    assert len(delays(retry)) >= 12
    assert sum(delays(retry)) > 5 * 60
    assert max(delays(retry)) == 60
    assert retry["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("compensation", COMPENSATIONS)
def test_a_confirmed_order_is_left_alone(compensation: str) -> None:
    assert retrier(compensation, "OrderAlreadyCompleted")["MaxAttempts"] == 0
    assert catcher(compensation, "OrderAlreadyCompleted")["Next"] == "AlreadyCompleted"
    assert STATES["AlreadyCompleted"]["Type"] == "Succeed"


def test_an_order_that_cannot_be_closed_fails_its_execution_so_that_the_alarm_fires() -> None:
    assert [catch["Next"] for catch in STATES["MarkCancelled"]["Catch"]] == ["AlreadyCompleted"]


# What the steps are told


@pytest.mark.parametrize("step", FORWARD_STEPS)
def test_a_forward_step_gets_the_input_of_the_execution(step: str) -> None:
    payload = evaluated(TASKS[step]["Arguments"]["Payload"], execution_input=ORDER)
    assert payload == {**ORDER, **CALL}


@pytest.mark.parametrize("step", FORWARD_STEPS)
def test_the_compensations_learn_what_failed_and_why(step: str) -> None:
    assigned = catcher(step, "States.Timeout")["Assign"]
    assert evaluated(assigned, error="States.Timeout") == {
        "failure": {"step": step, "error": "States.Timeout"},
        "unfinished": {},
    }


@pytest.mark.parametrize("compensation", COMPENSATIONS)
def test_a_compensation_gets_the_input_and_the_failure_and_what_is_unfinished(compensation: str) -> None:
    failure = {"step": "ProcessPayment", "error": "FraudSuspected"}
    payload = evaluated(
        TASKS[compensation]["Arguments"]["Payload"],
        execution_input=ORDER,
        failure=failure,
        unfinished={"RestoreInventory": "DatabaseUnavailable"},
    )
    assert payload == {
        **ORDER,
        **CALL,
        "failure": failure,
        "unfinished": {"RestoreInventory": "DatabaseUnavailable"},
    }


@pytest.mark.parametrize("compensation", COMPENSATIONS[:-1])
def test_what_is_unfinished_adds_up(compensation: str) -> None:
    assigned = catcher(compensation, "DatabaseUnavailable")["Assign"]
    before = {"AnEarlierOne": "States.Timeout"}
    assert evaluated(assigned, error="DatabaseUnavailable", unfinished=before) == {
        "unfinished": {**before, compensation: "DatabaseUnavailable"}
    }


def test_no_expression_reads_a_variable_before_it_is_assigned() -> None:
    """Only compensations read variables, and each Catch of a forward step, the only way to them, assigns both."""
    for step in FORWARD_STEPS:
        assert variables_in(TASKS[step]) == set()
        assert set(catcher(step, "States.Timeout")["Assign"]) == {"failure", "unfinished"}
    for compensation in COMPENSATIONS:
        assert variables_in(TASKS[compensation]) == {"failure", "unfinished"}


# Its fit with the rest


def test_every_task_has_a_timeout_and_retries_everything_unknown() -> None:
    for name, task in TASKS.items():
        assert task["TimeoutSeconds"] == (300 if name == "WaitForPayment" else 30)
        assert task["Retry"][-1]["ErrorEquals"] == ["States.ALL"]


def test_every_task_but_the_last_catches_everything() -> None:
    for name, task in TASKS.items():
        catches_everything = task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
        assert catches_everything == (name != "MarkCancelled")


@pytest.mark.parametrize("kind", [FORWARD_STEPS, COMPENSATIONS])
def test_steps_of_one_kind_are_retried_alike(kind: tuple[str, ...]) -> None:
    policies = {
        # Whoever calls the gateway waits for its circuit as well.
        json.dumps([rule for rule in TASKS[step]["Retry"] if rule["ErrorEquals"] != [CIRCUIT_OPEN]])
        for step in kind
    }
    assert len(policies) == 1


def test_every_rule_of_retrying_is_used() -> None:
    source = json.loads(SOURCE.read_text(encoding="utf-8"))
    used = {name for state in source["States"].values() for name in state.get("Retry", [])}
    assert used == source["Retriers"].keys() - {"Comment"}


def test_the_machine_outlives_the_slowest_order() -> None:
    """An execution that times out would leave its order unfinished, so only a bug may make it."""
    slowest = max(
        sum(map(longest, FORWARD_STEPS[: FORWARD_STEPS.index(step) + 1]))
        + sum(map(longest, compensations_after(step)))
        for step in FORWARD_STEPS
    )
    # A customer may act until the stock is not held any more; the last look comes a wait later.
    slowest += max(stage.reservation_ttl_seconds for stage in STAGES.values()) + WAIT["TimeoutSeconds"]
    assert slowest <= MACHINE["TimeoutSeconds"] <= 1.2 * slowest


def test_the_tasks_are_the_steps_of_the_domain() -> None:
    assert list(TASKS) == [step.value for step in domain.SagaStep]
    assert set(STATES) - set(TASKS) == {"AlreadyCompleted", "OrderUnknown"}


def test_every_state_says_why_it_is_there() -> None:
    assert all(state.get("Comment") for state in STATES.values())


def test_every_error_of_ours_exists_as_a_class() -> None:
    ours = {name for name in error_names() if not name.startswith(NOT_OURS)}
    assert ours
    for name in ours:
        error = getattr(errors, name)
        assert issubclass(error, errors.OrdersError)
        assert error.__name__ == name


def test_every_task_invokes_the_function_of_its_name(stack: SynthesizedStack) -> None:
    substitutions = stack.state_machine()["DefinitionSubstitutions"]
    for name, task in TASKS.items():
        placeholder = f"{name}FunctionArn"
        waits = ".waitForTaskToken" if name == "WaitForPayment" else ""
        assert task["Resource"] == f"arn:aws:states:::lambda:invoke{waits}"
        assert task["Arguments"]["FunctionName"] == f"${{{placeholder}}}"
        assert stack.name_of(substitutions[placeholder]) == f"function {kebab(name)}"
    assert set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINE))) == set(substitutions)


def test_what_is_deployed_is_this_definition(stack: SynthesizedStack) -> None:
    assert json.loads(stack.state_machine()["DefinitionString"]) == MACHINE


def test_a_step_has_ended_before_the_machine_gives_it_up(stack: SynthesizedStack) -> None:
    for name, task in TASKS.items():
        assert stack.functions[kebab(name)]["Timeout"] < task["TimeoutSeconds"]


def evaluated(
    template: Any, *, execution_input: Any = None, error: str | None = None, **variables: Any
) -> Any:
    """A template of the definition with its JSONata expressions evaluated, as Step Functions does it."""
    context = {"Execution": {"Input": execution_input, "Name": "order-o"}, "State": {"RetryCount": 2}}
    context["Task"] = {"Token": "token-1"}
    states = {"context": context, "errorOutput": {"Error": error}}
    match template:
        case dict():
            return {
                key: evaluated(value, execution_input=execution_input, error=error, **variables)
                for key, value in template.items()
            }
        case str() if template.startswith("{%"):
            expression = template.removeprefix("{%").removesuffix("%}")
            return jsonata.Jsonata(expression).evaluate(None, {"states": states, **variables})
        case _:
            return template


def variables_in(state: dict[str, Any]) -> set[str]:
    """The variables that a state's expressions read; functions are called, and `$states` is always there."""

    def expressions(value: Any) -> Iterator[str]:
        match value:
            case dict():
                for member in value.values():
                    yield from expressions(member)
            case list():
                for member in value:
                    yield from expressions(member)
            case str() if value.startswith("{%"):
                yield value

    names = {name for text in expressions(state) for name in re.findall(r"\$(\w+)\b(?!\()", text)}
    return names - {"states"}


def test_a_deploy_changes_complete_order_before_send_confirmation(prod: SynthesizedStack) -> None:
    """An order that is under way during the deploy of decision 0024 is told, by the old steps or by the new ones."""
    ids = prod.function_ids
    assert ids["complete-order"] in prod.dependencies(ids["send-confirmation"])
