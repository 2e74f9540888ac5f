"""What a step that fails writes: one line with its ids, and nothing that is not for a log."""

import json
import traceback
from typing import Any
from uuid import uuid4

import pytest

from functions.saga_steps import stock
from orders.errors import DatabaseUnavailable, InsufficientStock, PaymentGatewayUnavailable, StepFenced
from orders.observability import MAX_ERROR_TEXT, MAX_LINE
from tests.integration.saga.pipeline import TASKS, Order, Pipeline
from tests.support.factories import EMAIL, PHONE, TRACE
from tests.support.written import Written, recorded


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Has VerifyStock fail so."""

    def verify(*_: Any) -> None:
        raise error

    monkeypatch.setattr(stock, "verify", verify)


def call(order: Order, step: str = "VerifyStock") -> Exception:
    """The third invocation of a step, which fails; what the runtime gets."""
    try:
        TASKS[step]({**order.input, "execution": f"order-{order.order_id}-r2", "attempt": 3})
    except Exception as error:
        return error
    pytest.fail("the step did not fail")


def line_of(written: Written) -> dict[str, Any]:
    (line,) = written.logs("Step failed")
    return line


BUSINESS_AND_TRANSIENT = [
    InsufficientStock("not enough stock of 1"),
    StepFenced("closed by its compensation"),
    PaymentGatewayUnavailable("down"),
    DatabaseUnavailable("gave up after 5 attempts (57P01)"),
]


@pytest.mark.parametrize("error", BUSINESS_AND_TRANSIENT, ids=lambda error: type(error).__name__)
def test_what_is_refused_or_tried_again_is_a_warning_without_a_traceback(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    order = pipeline.order()
    failing(monkeypatch, error)

    with recorded() as written:
        call(order)

    line = line_of(written)
    assert line["level"] == "WARNING"
    assert (line["order_id"], line["step"]) == (str(order.order_id), "VerifyStock")
    assert (line["execution"], line["step_attempt"]) == (f"order-{order.order_id}-r2", 3)
    assert (line["error"], line["detail"]) == (type(error).__name__, str(error))
    assert line["correlation_id"] == TRACE.correlation_id
    assert "exception" not in line
    assert written.log_lines == 1


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), RuntimeError("y" * 100_000), json.JSONDecodeError("z" * 5_000, "", 0)],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_expected_is_an_error_with_its_traceback_within_bounds(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    order = pipeline.order()
    failing(monkeypatch, error)

    with recorded() as written:
        call(order)

    line = line_of(written)
    assert (line["level"], line["error"]) == ("ERROR", type(error).__name__)
    assert line["order_id"] == str(order.order_id)
    assert "in verify" in line["exception"]
    assert len(written.text) < MAX_LINE


@pytest.mark.parametrize(
    "error", [*BUSINESS_AND_TRANSIENT, RuntimeError("y" * 100_000)], ids=lambda error: type(error).__name__
)
def test_the_runtime_gets_the_errors_name_a_short_text_and_no_frame_of_ours(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It prints what it gets, in a line of its own that has no ids; and Step Functions matches the name."""
    order = pipeline.order()
    failing(monkeypatch, error)

    raised = call(order)

    assert type(raised).__name__ == type(error).__name__
    assert len(str(raised)) <= MAX_ERROR_TEXT
    frames = traceback.extract_tb(raised.__traceback__)
    assert not any("saga_steps" in frame.filename for frame in frames)
    assert raised.__cause__ is None


def test_a_declined_payment_says_which_order_and_not_which_card(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_declined")

    with recorded() as written:
        execution = order.run()

    line = line_of(written)
    assert (line["level"], line["error"], line["step"]) == ("WARNING", "PaymentDeclined", "ProcessPayment")
    assert (line["order_id"], line["execution"], line["step_attempt"]) == (
        str(order.order_id),
        execution.name,
        1,
    )
    for secret in ("pm_card", EMAIL, PHONE):
        assert secret not in written.text


def test_each_failed_attempt_is_a_line_with_its_number(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_flaky")

    with recorded() as written:
        order.run()

    lines = written.logs("Step failed")
    assert [line["step_attempt"] for line in lines] == [1, 2]
    assert {(line["error"], line["level"]) for line in lines} == {("PaymentGatewayUnavailable", "WARNING")}


def test_an_execution_that_an_earlier_release_has_started_goes_on(pipeline: Pipeline) -> None:
    order = pipeline.order()
    assert TASKS["VerifyStock"](order.input)["outcome"] == "PROCESSING"


def test_an_execution_of_an_order_that_does_not_exist_ends_with_its_first_invocation(
    pipeline: Pipeline,
) -> None:
    order_id = str(uuid4())
    with recorded() as written:
        execution = pipeline.machine.run(
            {"orderId": order_id, "correlationId": "forged-0", "traceparent": TRACE.traceparent}
        )

    assert (execution.status, execution.error) == ("FAILED", "OrderUnknown")
    assert execution.attempts == {"VerifyStock": 1}
    line = line_of(written)
    assert (line["level"], line["error"]) == ("WARNING", "OrderUnknown")
    assert pipeline.rows("SELECT id FROM outbox WHERE subject = :id", id=order_id) == []
