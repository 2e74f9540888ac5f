"""The words of the business and the tables between them."""

import pytest

from infra.saga_definition import saga_definition
from orders import errors
from orders.domain import (
    COMPENSATED_BY,
    COMPENSATIONS,
    FORWARD_STEPS,
    LEGAL_TRANSITIONS,
    TERMINAL_STATUSES,
    UNDOES,
    FailureReason,
    Notification,
    OrderStatus,
    SagaStep,
    progress,
    public_failure_reason,
)
from orders.errors import BusinessFailure, business_failure, failure_reason

STATES = saga_definition()["States"]


def test_every_status_says_where_it_may_go() -> None:
    assert LEGAL_TRANSITIONS.keys() == set(OrderStatus)


def test_every_order_can_reach_an_end() -> None:
    reached = {OrderStatus.PENDING}
    for _ in OrderStatus:
        reached |= {after for before in reached for after in LEGAL_TRANSITIONS[before]}

    assert reached == set(OrderStatus)


def test_confirmed_and_cancelled_orders_never_change() -> None:
    assert LEGAL_TRANSITIONS[OrderStatus.CONFIRMED] == LEGAL_TRANSITIONS[OrderStatus.CANCELLED] == frozenset()


def test_no_order_skips_its_processing() -> None:
    assert LEGAL_TRANSITIONS[OrderStatus.PENDING] == {OrderStatus.PROCESSING}


@pytest.mark.parametrize("status", OrderStatus)
def test_what_is_terminal_is_what_the_saga_leaves_alone(status: OrderStatus) -> None:
    assert status.is_terminal == (status in TERMINAL_STATUSES)
    assert status.is_terminal == (status not in {OrderStatus.PENDING, OrderStatus.PROCESSING})


def test_each_step_but_the_first_has_its_own_compensation() -> None:
    assert set(COMPENSATED_BY) == set(FORWARD_STEPS[1:])
    assert set(COMPENSATED_BY.values()) == set(SagaStep) - {*FORWARD_STEPS, SagaStep.WAIT_FOR_PAYMENT}
    assert {UNDOES[undo]: undo for undo in UNDOES} == COMPENSATED_BY


@pytest.mark.parametrize("done", range(len(FORWARD_STEPS) + 1))
def test_progress_grows_with_each_step(done: int) -> None:
    assert progress(OrderStatus.PROCESSING, FORWARD_STEPS[:done]) == 100 * done // 6


@pytest.mark.parametrize("status", sorted(TERMINAL_STATUSES))
def test_a_terminal_order_has_all_its_progress(status: OrderStatus) -> None:
    assert progress(status, []) == 100


def test_compensations_are_no_progress() -> None:
    assert progress(OrderStatus.PROCESSING, list(UNDOES)) == 0


@pytest.mark.parametrize(
    ("reason", "notification"),
    [
        (FailureReason.INSUFFICIENT_STOCK, Notification.ORDER_CANCELLED),
        (FailureReason.PAYMENT_DECLINED, Notification.PAYMENT_FAILED),
        (FailureReason.FRAUD_SUSPECTED, Notification.PAYMENT_FAILED),
        (FailureReason.PAYMENT_UNAVAILABLE, Notification.PAYMENT_FAILED),
        (FailureReason.RESERVATION_EXPIRED, Notification.ORDER_CANCELLED),
        (FailureReason.PROCESSING_FAILED, Notification.ORDER_CANCELLED),
    ],
)
def test_a_payment_failure_has_a_message_of_its_own(
    reason: FailureReason, notification: Notification
) -> None:
    assert Notification.for_cancellation(reason) is notification


def test_an_owner_is_told_each_reason_but_a_suspicion() -> None:
    told = {str(reason): str(public_failure_reason(reason)) for reason in FailureReason}

    assert told.pop("FRAUD_SUSPECTED") == "PAYMENT_DECLINED"
    assert told == {reason: reason for reason in told}
    assert public_failure_reason(None) is None


@pytest.mark.parametrize("failure", BusinessFailure.__subclasses__())
def test_a_business_failure_is_found_by_its_name_and_has_its_reason(failure: type[BusinessFailure]) -> None:
    assert business_failure(failure.__name__) is failure
    assert failure_reason(failure.__name__) is failure.reason


@pytest.mark.parametrize("name", ["States.Timeout", "DatabaseUnavailable", "StepFenced", "KeyError", ""])
def test_any_other_failure_is_a_failure_of_ours(name: str) -> None:
    assert business_failure(name) is None
    assert failure_reason(name) is FailureReason.PROCESSING_FAILED


def test_a_gateway_that_stays_away_is_told_apart() -> None:
    assert failure_reason("PaymentGatewayUnavailable") is FailureReason.PAYMENT_UNAVAILABLE


# The state machine's file and this package name the same things, and nothing but tests compares the names.


def test_every_step_is_a_task_and_every_task_a_step() -> None:
    tasks = {name for name, state in STATES.items() if state["Type"] == "Task"}
    assert tasks == {str(step) for step in SagaStep}


@pytest.mark.parametrize("step", FORWARD_STEPS)
def test_a_failed_step_enters_the_chain_at_its_own_compensation_or_before(step: SagaStep) -> None:
    catcher = STATES[step]["Catch"][-1]
    entered = COMPENSATIONS.index(catcher["Next"])
    own = COMPENSATED_BY.get(step, SagaStep.SEND_CANCELLATION)

    assert entered <= COMPENSATIONS.index(own)
    # What the steps before it did is undone as well.
    before = FORWARD_STEPS[: FORWARD_STEPS.index(step)]
    needed = [COMPENSATED_BY[done] for done in before if done in COMPENSATED_BY]
    assert all(COMPENSATIONS.index(undo) >= entered for undo in needed)


def test_the_chain_of_compensations_has_one_order() -> None:
    order = ["RestoreInventory"]
    while "Next" in STATES[order[-1]]:
        order.append(STATES[order[-1]]["Next"])

    assert order == list(COMPENSATIONS)


@pytest.mark.parametrize("name", COMPENSATIONS[:-1])
def test_a_failing_compensation_goes_on_to_the_next(name: str) -> None:
    catch_all = STATES[name]["Catch"][-1]

    assert catch_all["ErrorEquals"] == ["States.ALL"]
    assert catch_all["Next"] == STATES[name]["Next"]
    assert "unfinished" in catch_all["Assign"]


def test_every_error_that_the_state_machine_matches_is_one_we_raise() -> None:
    rules = [rule for state in STATES.values() for rule in (*state.get("Retry", []), *state.get("Catch", []))]
    matched = {
        name for rule in rules for name in rule["ErrorEquals"] if not name.startswith(("States.", "Lambda."))
    }

    assert matched
    assert all(issubclass(getattr(errors, name), errors.OrdersError) for name in matched)


@pytest.mark.parametrize("step", FORWARD_STEPS)
def test_no_forward_step_retries_a_final_answer(step: SagaStep) -> None:
    final = {error.__name__ for error in (*BusinessFailure.__subclasses__(), errors.StepFenced)}
    first = STATES[step]["Retry"][0]

    assert final <= set(first["ErrorEquals"])
    assert first["MaxAttempts"] == 0
