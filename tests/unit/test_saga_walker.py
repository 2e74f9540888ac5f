"""The walker that saga tests stand on walks as Step Functions would."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asl import THROTTLED, TIMEOUT, Fault, LateCall, StateMachine, Unsupported, When


class Declined(Exception):
    pass


class Effects:
    """A task that remembers its calls and fails as told."""

    def __init__(self, *failures: Exception | None) -> None:
        self.payloads: list[Any] = []
        self._failures = list(failures)

    def __call__(self, payload: dict[str, Any]) -> dict[str, Any]:
        self.payloads.append(payload)
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        return {"calls": len(self.payloads)}


def task(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": f"${{{name}FunctionArn}}",
            "Payload": "{% $states.context.Execution.Input %}",
        },
        **fields,
    }


def machine(states: dict[str, Any], **tasks: Callable[[dict[str, Any]], Any]) -> StateMachine:
    return StateMachine({"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}, tasks)


RETRY = {
    "Retry": [
        {"ErrorEquals": ["Declined"], "MaxAttempts": 0},
        {"ErrorEquals": ["Lambda.TooManyRequestsException"], "MaxAttempts": 5},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2},
    ]
}
DONE = {"Type": "Succeed"}


def test_states_are_visited_in_order_and_payloads_are_evaluated() -> None:
    pay, ship = Effects(), Effects()
    execution = machine(
        {"Pay": task("Pay", Next="Ship"), "Ship": task("Ship", End=True)}, Pay=pay, Ship=ship
    ).run({"orderId": "o-1"})

    assert execution.visited == ["Pay", "Ship"]
    assert execution.status == "SUCCEEDED"
    assert execution.output == {"StatusCode": 200, "Payload": {"calls": 1}}
    assert pay.payloads == ship.payloads == [{"orderId": "o-1"}]


def test_each_retrier_counts_its_own_errors() -> None:
    pay = Effects()
    execution = machine({"Pay": task("Pay", End=True, **RETRY)}, Pay=pay).run(
        {}, Fault("Pay", When.BEFORE, THROTTLED, times=5), Fault("Pay", When.BEFORE, TIMEOUT, times=2)
    )

    assert execution.status == "SUCCEEDED"
    assert execution.attempts["Pay"] == 8
    assert len(pay.payloads) == 1


def test_a_retrier_without_attempts_ends_it_though_a_later_one_matches() -> None:
    execution = machine({"Pay": task("Pay", End=True, **RETRY)}, Pay=Effects(Declined(), None)).run({})

    assert execution.status == "FAILED"
    assert execution.error == "Declined"
    assert execution.attempts["Pay"] == 1


def test_the_first_catcher_that_matches_assigns_and_leads_on() -> None:
    catch = [
        {"ErrorEquals": ["Other"], "Next": "Lost"},
        {
            "ErrorEquals": ["States.ALL"],
            "Assign": {"failure": {"error": "{% $states.errorOutput.Error %}"}, "open": {}},
            "Next": "Undo",
        },
    ]
    payload = "{% $merge([$states.context.Execution.Input, {'failure': $failure, 'open': $open}]) %}"
    undo = Effects()
    execution = machine(
        {
            "Pay": task("Pay", Catch=catch, Next="Lost"),
            "Undo": {
                **task("Undo", End=True),
                "Arguments": {"FunctionName": "${UndoFunctionArn}", "Payload": payload},
            },
            "Lost": {"Type": "Fail", "Error": "Lost"},
        },
        Pay=Effects(Declined()),
        Undo=undo,
    ).run({"orderId": "o-1"})

    assert execution.visited == ["Pay", "Undo"]
    assert execution.variables == {"failure": {"error": "Declined"}, "open": {}}
    assert undo.payloads == [{"orderId": "o-1", "failure": {"error": "Declined"}, "open": {}}]


@pytest.mark.parametrize("error", ["States.Runtime", "States.DataLimitExceeded"])
def test_states_all_does_not_catch_what_it_does_not_catch_on_aws(error: str) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]
    execution = machine({"Pay": task("Pay", Catch=catch, End=True), "Done": DONE}, Pay=Effects()).run(
        {}, Fault("Pay", When.BEFORE, error)
    )

    assert execution.error == error
    assert execution.visited == ["Pay"]


def test_a_choice_is_taken() -> None:
    states = {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input.big %}", "Next": "Big"}],
            "Default": "Small",
        },
        "Big": DONE,
        "Small": DONE,
    }

    assert machine(states).run({"big": True}).visited == ["Which", "Big"]
    assert machine(states).run({"big": False}).visited == ["Which", "Small"]


def test_a_fault_after_the_effect_hides_the_answer_and_not_the_effect() -> None:
    pay = Effects()
    execution = machine({"Pay": task("Pay", End=True, **RETRY)}, Pay=pay).run(
        {}, Fault("Pay", When.AFTER, times=1)
    )

    assert execution.errors == [("Pay", TIMEOUT)]
    assert len(pay.payloads) == 2


def test_a_late_effect_comes_before_the_state_it_is_told_to_or_at_the_very_end() -> None:
    order: list[str] = []
    states = {
        "Pay": task("Pay", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Undo"}], Next="Done"),
        "Undo": task("Undo", Next="Done"),
        "Done": DONE,
    }
    for until, expected in {"Undo": ["pay", "undo"], "Done": ["undo", "pay"], None: ["undo", "pay"]}.items():
        order.clear()
        execution = machine(
            states, Pay=lambda payload: order.append("pay"), Undo=lambda payload: order.append("undo")
        ).run({}, Fault("Pay", When.LATE, until=until))

        assert order == expected
        assert execution.late == [LateCall("Pay", None)]
        assert execution.visited == ["Pay", "Undo", "Done"]


def test_the_error_of_a_late_call_is_kept() -> None:
    states = {
        "Pay": task("Pay", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Done"}], Next="Done"),
        "Done": DONE,
    }
    execution = machine(states, Pay=Effects(Declined())).run({}, Fault("Pay", When.LATE))

    assert execution.late == [LateCall("Pay", "Declined")]


def test_executions_can_be_interleaved_state_by_state() -> None:
    walked = machine({"Pay": task("Pay", Next="Done"), "Done": DONE}, Pay=Effects())
    first, second = walked.start({}), walked.start({})

    assert first.step()
    assert second.step()
    assert not first.step()
    assert (first.ended, second.ended) == (True, False)
    assert second.next_state == "Done"


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Wait", "Seconds": 1, "Next": "Pay"},
        task("Pay", End=True, HeartbeatSeconds=5),
        task("Pay", End=True, Retry=[{"ErrorEquals": ["States.ALL"], "Unknown": 1}]),
        {**task("Pay", End=True), "Resource": "arn:aws:states:::sqs:sendMessage"},
    ],
)
def test_what_the_walker_does_not_know_it_refuses(state: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        machine({"Pay": state})


def test_an_expression_that_finds_nothing_is_an_error_as_on_aws() -> None:
    state = {
        **task("Pay", End=True),
        "Arguments": {"FunctionName": "${PayFunctionArn}", "Payload": "{% $missing %}"},
    }

    with pytest.raises(Unsupported, match="undefined"):
        machine({"Pay": state}, Pay=Effects()).run({})
