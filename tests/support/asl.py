"""A small Step Functions: it walks a real JSONata definition with real handlers, without waiting for anything.

It knows what `statemachines/` uses (Task, Succeed, Fail, Choice; Retry, Catch, Assign, Output) and refuses a
definition with anything else in it, so that it cannot silently walk another machine than AWS would. A test may put a
`Fault` on a state: the task fails before its effect, after it, or is given up as late and has its effect later.

An execution that waits for its task token stands still: `TaskTokens.send_task_success` lets its next step leave the
state, and without it that step is the end of the state's time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any, Final
from uuid import uuid4

from jsonata import Jsonata  # type: ignore[import-untyped]

from infra.saga_definition import refund_definition, saga_definition

Task = Callable[[dict[str, Any]], Any]
"""What a Task state runs: the function behind it, from its payload to its result."""

TIMEOUT: Final = "States.Timeout"
THROTTLED: Final = "Lambda.TooManyRequestsException"

_INVOKE: Final = "arn:aws:states:::lambda:invoke"
_WAIT: Final = f"{_INVOKE}.waitForTaskToken"
_FIELDS: Final = {
    "Task": {"Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch", "Assign", "Output", "Next", "End"},
    "Choice": {"Choices", "Default", "Assign", "Output"},
    "Succeed": {"Output"},
    "Fail": {"Error", "Cause"},
}
_RETRY_FIELDS: Final = {
    "ErrorEquals",
    "IntervalSeconds",
    "BackoffRate",
    "MaxDelaySeconds",
    "MaxAttempts",
    "JitterStrategy",
}
_CATCH_FIELDS: Final = {"ErrorEquals", "Assign", "Output", "Next"}
_UNCATCHABLE: Final = frozenset({"States.DataLimitExceeded", "States.Runtime"})
_DEFAULT_MAX_ATTEMPTS: Final = 3


class Unsupported(Exception):
    """The definition uses something that this walker does not know."""


class TaskFailed(Exception):
    """A task's failure, under the name that `ErrorEquals` matches."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


class When(Enum):
    """Where a fault strikes an invocation."""

    BEFORE = "before the effect"
    AFTER = "after the effect"
    """Committed, but the caller learns nothing of it."""
    LATE = "the effect comes after the caller has given up"
    """What a timed-out Lambda does: `States.Timeout` does not stop it."""


@dataclass(frozen=True)
class Fault:
    """A failure of every invocation of `state`, or of the first `times`."""

    state: str
    when: When
    error: str = TIMEOUT
    times: int | None = None
    until: str | None = None
    """For LATE: the effect comes just before this state is entered; None: when the execution has ended."""


@dataclass(frozen=True)
class LateCall:
    """An invocation that came late, and how it ended: `error` is the exception's class name, or None."""

    state: str
    error: str | None


class TaskTokens:
    """The tokens of all executions. A client of Step Functions as far as `orders.payments.actions` needs one."""

    exceptions = SimpleNamespace(
        **{
            name: type(name, (Exception,), {})
            for name in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken")
        }
    )

    def __init__(self) -> None:
        self._waiting: dict[str, bool] = {}

    def issue(self) -> str:
        """A new token that nobody has sent back yet."""
        token = str(uuid4())
        self._waiting[token] = False
        return token

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
        if taskToken not in self._waiting:
            raise self.exceptions.TaskTimedOut(taskToken)
        self._waiting[taskToken] = True

    def is_sent(self, token: str) -> bool:
        return self._waiting[token]

    def withdraw(self, token: str) -> None:
        """Its execution does not wait with it any more."""
        del self._waiting[token]


@dataclass
class StateMachine:
    """A definition, and the functions its tasks run, by the name in `${<name>FunctionArn}`."""

    definition: Mapping[str, Any]
    tasks: Mapping[str, Task]
    tokens: TaskTokens = field(default_factory=TaskTokens)

    def __post_init__(self) -> None:
        if self.definition.get("QueryLanguage") != "JSONata":
            raise Unsupported("only JSONata")
        for name, state in self.definition["States"].items():
            _check(name, state)

    @classmethod
    def order_saga(cls, tasks: Mapping[str, Task], tokens: TaskTokens | None = None) -> "StateMachine":
        return cls(saga_definition(), tasks, tokens or TaskTokens())

    @classmethod
    def order_refund(cls, tasks: Mapping[str, Task]) -> "StateMachine":
        return cls(refund_definition(), tasks)

    def start(self, input: dict[str, Any], faults: Iterable[Fault] = ()) -> "Execution":
        """An execution that stands before its first state. `Execution.step` moves it, so several can be interleaved."""
        return Execution(self, _json(input), list(faults))

    def run(self, input: dict[str, Any], *faults: Fault) -> "Execution":
        """An execution walked to its end, or until it waits for its token."""
        execution = self.start(input, faults)
        while not execution.is_waiting and execution.step():
            pass
        return execution


@dataclass
class Execution:
    """One walk. Everything a test may want to know of it is in its public fields."""

    machine: StateMachine
    input: dict[str, Any]
    faults: list[Fault]
    name: str = "walked"
    visited: list[str] = field(default_factory=list)
    """The states entered, in order; a retried state is entered once."""
    attempts: Counter[str] = field(default_factory=Counter)
    """Invocations by state, failed ones included."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    """(state, error) of every failed invocation, in order."""
    variables: dict[str, Any] = field(default_factory=dict)
    status: str = "RUNNING"
    """Then SUCCEEDED or FAILED."""
    output: Any = None
    error: str | None = None
    late: list[LateCall] = field(default_factory=list)
    next_state: str = field(init=False)
    """The one that `step` enters, until the execution has ended."""

    def __post_init__(self) -> None:
        self.next_state = self.machine.definition["StartAt"]
        self._state_input: Any = self.input
        self._retry_count = 0
        self._struck: Counter[Fault] = Counter()
        self._delayed: list[tuple[Fault, Callable[[], Any]]] = []
        self._retried: list[int] = []
        self._token: str | None = None
        self.is_waiting = False
        """It stands in a state until its token comes back, or the state's time is over."""

    def step(self) -> bool:
        """Enters one state and leaves it, or stays there to wait; then leaves it with the next step. False: the
        execution has ended, and so have its late calls."""
        if self.is_waiting:
            self._stop_waiting()
        elif not self.ended:
            self._enter(self.next_state)
        if self.ended:
            self._run_delayed(until=None)
        return not self.ended

    @property
    def is_woken(self) -> bool:
        """It waits, and its token has come."""
        return self.is_waiting and self._token is not None and self.machine.tokens.is_sent(self._token)

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"

    def _enter(self, name: str) -> None:
        self._run_delayed(until=name)
        self.visited.append(name)
        state = self.machine.definition["States"][name]
        match state["Type"]:
            case "Task":
                self._retried = [0] * len(state.get("Retry", []))
                self._task(name, state)
            case "Choice":
                self._choice(state)
            case "Succeed":
                self._end(
                    "SUCCEEDED", self._evaluate(state["Output"]) if "Output" in state else self._state_input
                )
            case "Fail":
                self.error = self._evaluate(state.get("Error"))
                self._end("FAILED", None)

    def _task(self, name: str, state: Mapping[str, Any]) -> None:
        while True:
            try:
                result = self._invoke(name, state)
            except TaskFailed as failure:
                if self._fail(name, state, failure):
                    continue
                return
            if self._token is None:
                self._leave(state, {"result": result}, result)
            else:
                self.is_waiting = True
                if self.machine.tokens.is_sent(self._token):
                    self._stop_waiting()
            return

    def _fail(self, name: str, state: Mapping[str, Any], failure: TaskFailed) -> bool:
        """Whether the task is to be tried again; else it is caught."""
        self.errors.append((name, failure.error))
        if _may_retry(state, failure.error, self._retried):
            return True
        self._catch(state, failure)
        return False

    def _stop_waiting(self) -> None:
        name = self.visited[-1]
        state = self.machine.definition["States"][name]
        assert self._token is not None
        self.is_waiting = False
        if self.machine.tokens.is_sent(self._token):
            self._withdraw_token()
            self._leave(state, {"result": {}}, {})
        else:
            self._withdraw_token()
            if self._fail(name, state, TaskFailed(TIMEOUT)):
                self._task(name, state)

    def _withdraw_token(self) -> None:
        if self._token is not None:
            self.machine.tokens.withdraw(self._token)
            self._token = None

    def _invoke(self, name: str, state: Mapping[str, Any]) -> Any:
        self.attempts[name] += 1
        self._retry_count = self.attempts[name] - 1
        self._withdraw_token()
        if state["Resource"] == _WAIT:
            self._token = self.machine.tokens.issue()
        arguments = self._evaluate(state["Arguments"])
        function = arguments["FunctionName"].removeprefix("${").removesuffix("FunctionArn}")
        payload = _json(arguments["Payload"])

        def call() -> Any:
            return _json(self.machine.tasks[function](payload))

        fault = self._fault(name)
        if fault is not None and fault.when is When.BEFORE:
            raise TaskFailed(fault.error)
        if fault is not None and fault.when is When.LATE:
            self._delayed.append((fault, call))
            raise TaskFailed(fault.error)
        try:
            result = call()
        except TaskFailed:
            # A task that tells by itself how it failed: as something that is no exception of the function's.
            raise
        except Exception as error:
            # The runtime client reports an exception by its class's name.
            raise TaskFailed(fault.error if fault else type(error).__name__, str(error)) from error
        if fault is not None:
            raise TaskFailed(fault.error)
        return {"StatusCode": 200, "Payload": result}

    def _fault(self, name: str) -> Fault | None:
        for fault in self.faults:
            if fault.state == name and (fault.times is None or self._struck[fault] < fault.times):
                self._struck[fault] += 1
                return fault
        return None

    def _run_delayed(self, *, until: str | None) -> None:
        due = [(fault, call) for fault, call in self._delayed if until is None or fault.until == until]
        self._delayed = [entry for entry in self._delayed if entry not in due]
        for fault, call in due:
            try:
                call()
            except Exception as error:
                self.late.append(LateCall(fault.state, type(error).__name__))
            else:
                self.late.append(LateCall(fault.state, None))

    def _catch(self, state: Mapping[str, Any], failure: TaskFailed) -> None:
        error_output = {"Error": failure.error, "Cause": failure.cause}
        for catcher in state.get("Catch", []):
            if _matches(catcher["ErrorEquals"], failure.error):
                self._leave(catcher, {"errorOutput": error_output}, error_output)
                return
        self.error = failure.error
        self._end("FAILED", None)

    def _choice(self, state: Mapping[str, Any]) -> None:
        for choice in state["Choices"]:
            if self._evaluate(choice["Condition"]) is True:
                self._leave(choice, {}, self._state_input)
                return
        self._leave({**state, "Next": state["Default"]}, {}, self._state_input)

    def _leave(self, way: Mapping[str, Any], states: dict[str, Any], output: Any) -> None:
        """Out of a state by `way`: the state itself, one of its catchers, or one of its choices."""
        # Output and Assign see the variables as they were on entering.
        assigned = self._evaluate(way.get("Assign", {}), states)
        if "Output" in way:
            output = self._evaluate(way["Output"], states)
        self.variables |= assigned
        if way.get("End"):
            self._end("SUCCEEDED", output)
        else:
            self._state_input = output
            self.next_state = way["Next"]

    def _end(self, status: str, output: Any) -> None:
        self.status, self.output = status, output

    def _evaluate(self, template: Any, states: Mapping[str, Any] | None = None) -> Any:
        """A JSON template with its `{% … %}` strings evaluated."""
        if isinstance(template, Mapping):
            return {name: self._evaluate(value, states) for name, value in template.items()}
        if isinstance(template, list):
            return [self._evaluate(value, states) for value in template]
        if not (isinstance(template, str) and template.startswith("{%") and template.endswith("%}")):
            return template
        expression = Jsonata(template.removeprefix("{%").removesuffix("%}").strip())
        bindings = expression.create_frame()
        context = {
            "Execution": {"Input": self.input, "Name": self.name},
            "State": {"RetryCount": self._retry_count},
            "Task": {"Token": self._token},
        }
        bindings.bind("states", {"input": self._state_input, "context": context, **(states or {})})
        for name, value in self.variables.items():
            bindings.bind(name, value)
        value = expression.evaluate(None, bindings)
        if value is None:
            # Step Functions fails a state whose expression finds nothing, and so must a test.
            raise Unsupported(f"{template} is undefined")
        return _json(value)


def _check(name: str, state: Mapping[str, Any]) -> None:
    known = _FIELDS.get(state["Type"])
    if known is None:
        raise Unsupported(f"{name}: {state['Type']}")
    unknown = state.keys() - known - {"Type", "Comment"}
    for retrier in state.get("Retry", []):
        unknown |= retrier.keys() - _RETRY_FIELDS
    for catcher in state.get("Catch", []):
        unknown |= catcher.keys() - _CATCH_FIELDS
    if unknown:
        raise Unsupported(f"{name}: {sorted(unknown)}")
    if state["Type"] == "Task" and state["Resource"] not in (_INVOKE, _WAIT):
        raise Unsupported(f"{name}: {state['Resource']}")


def _may_retry(state: Mapping[str, Any], error: str, retried: list[int]) -> bool:
    """Whether the first retrier that matches has attempts left; it alone decides."""
    for index, retrier in enumerate(state.get("Retry", [])):
        if _matches(retrier["ErrorEquals"], error):
            retried[index] += 1
            return bool(retried[index] <= retrier.get("MaxAttempts", _DEFAULT_MAX_ATTEMPTS))
    return False


def _matches(names: list[str], error: str) -> bool:
    if error in names:
        return True
    if "States.ALL" in names:
        return error not in _UNCATCHABLE
    return "States.TaskFailed" in names and error not in _UNCATCHABLE and error != TIMEOUT


def _json(value: Any) -> Any:
    """What is left of a value that travels as JSON."""
    return json.loads(json.dumps(value))
