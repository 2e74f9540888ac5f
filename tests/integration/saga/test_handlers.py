"""What the twelve functions answer, count, log, and never tell."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from functions.saga_steps import handler
from functions.saga_steps.settings import Settings
from tests.integration.saga.pipeline import CHAIN, FORWARD, TASKS, Pipeline
from tests.support.asl import Fault, When
from tests.support.factories import EMAIL, PHONE, TRACE, TRACE_ID
from tests.support.written import recorded

OUTCOMES = {
    "VerifyStock": "PROCESSING",
    "ReserveInventory": "ACTIVE",
    "ProcessPayment": "CAPTURED",
    "ConfirmReservation": "CONFIRMED",
    "SendConfirmation": "PROCESSING",
    "CompleteOrder": "CONFIRMED",
    "RestoreInventory": "RESTORED",
    "RefundPayment": "REFUNDED",
    "ReleaseReservation": "RELEASED",
    "SendCancellation": "order_cancelled",
    "MarkCancelled": "CANCELLED",
}


@pytest.mark.parametrize("steps", [FORWARD, [*FORWARD[:5], *CHAIN]], ids=["confirmed", "cancelled"])
def test_each_step_answers_the_state_it_left_and_a_repeated_call_the_same(
    pipeline: Pipeline, steps: list[str]
) -> None:
    order = pipeline.order()

    for step in steps:
        expected = {"orderId": str(order.order_id), "step": step, "outcome": OUTCOMES[step]}
        assert order.call(step) == expected
        assert order.call(step) == expected


def test_a_confirmed_order_is_counted_once(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with recorded() as written:
        order.run(Fault("CompleteOrder", When.AFTER, times=2))

    assert written.metrics == {"OrdersConfirmed": 1}


def test_a_cancelled_order_is_counted_once(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_declined")

    with recorded() as written:
        order.run(Fault("MarkCancelled", When.AFTER, times=2))

    assert written.metrics == {"OrdersCancelled": 1}


def test_an_order_that_needs_review_is_counted_until_the_call_comes_through(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with recorded() as written:
        order.run(
            Fault("ConfirmReservation", When.BEFORE),
            Fault("RefundPayment", When.BEFORE),
            Fault("MarkCancelled", When.AFTER, times=1),
        )

    # The alarm must ring even if the call that decided was killed before it could count.
    assert written.metrics == {"OrdersNeedingReview": 2}


def test_every_line_of_a_step_s_log_says_which_order_and_which_step(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with recorded() as written:
        order.run()

    lines = written.logs("Step done")
    assert [line["step"] for line in lines] == FORWARD
    for line in lines:
        assert line["order_id"] == str(order.order_id)
        assert line["correlation_id"] == TRACE.correlation_id
        assert line["trace_id"] == TRACE_ID


def test_the_review_s_log_line_says_what_an_operator_has_to_look_at(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with recorded() as written:
        order.run(
            Fault("ConfirmReservation", When.BEFORE, "DatabaseUnavailable"),
            Fault("RefundPayment", When.BEFORE),
        )

    (line,) = written.logs("Order needs review")
    assert line["level"] == "ERROR"
    assert line["order_id"] == str(order.order_id)
    assert line["failed_step"] == "ConfirmReservation"
    assert line["error"] == "DatabaseUnavailable"
    assert line["unfinished"] == {"RefundPayment": "States.Timeout"}
    assert (line["money_held"], line["stock_held"]) == (True, False)


@pytest.mark.parametrize(
    ("payment_method", "fault"),
    [
        ("pm_card_visa", None),
        ("pm_card_declined", None),
        ("pm_card_down", None),
        ("pm_card_flaky", None),
        ("pm_card_timeout", Fault("ConfirmReservation", When.BEFORE)),
        ("pm_card_visa", Fault("RefundPayment", When.BEFORE)),
    ],
)
def test_no_personal_data_is_logged_counted_answered_or_published(
    pipeline: Pipeline, payment_method: str, fault: Fault | None, caplog: pytest.LogCaptureFixture
) -> None:
    order = pipeline.order(payment_method)
    faults = [fault, Fault("CompleteOrder", When.BEFORE)] if fault else []

    with recorded() as written:
        execution = order.run(*faults)

    published = pipeline.rows("SELECT data::text FROM outbox WHERE subject = :id", id=order.order_id)
    seen = f"{written.text} {caplog.text} {execution.output} {execution.variables} {execution.errors} {published}"
    for secret in (EMAIL, PHONE, payment_method):
        assert secret not in seen


@pytest.mark.parametrize(
    "faults", [[], [Fault("CompleteOrder", When.BEFORE)]], ids=["confirmed", "cancelled"]
)
def test_an_event_s_notification_carries_the_caller_s_trace(pipeline: Pipeline, faults: list[Fault]) -> None:
    order = pipeline.order()

    order.run(*faults)

    found = pipeline.rows(
        "SELECT correlation_id, traceparent FROM outbox WHERE subject = :id AND type LIKE '%notification%'",
        id=order.order_id,
    )
    assert found == [{"correlation_id": TRACE.correlation_id, "traceparent": TRACE.traceparent}] * 2


@pytest.mark.parametrize("step", ["SendCancellation", "MarkCancelled"])
def test_a_cancellation_without_its_reason_is_refused(pipeline: Pipeline, step: str) -> None:
    order = pipeline.order()

    with pytest.raises(ValidationError):
        TASKS[step](order.input)

    assert order.ending().status == "PENDING"
    assert order.journal() == {}


def test_a_malformed_event_is_refused_without_repeating_it(pipeline: Pipeline) -> None:
    with pytest.raises(ValidationError) as caught:
        TASKS["VerifyStock"]({"orderId": EMAIL, "correlationId": "c", "traceparent": "t"})

    assert EMAIL not in str(caught.value)


def test_every_state_has_its_function(pipeline: Pipeline) -> None:
    assert TASKS.keys() == pipeline.machine.definition["States"].keys() - {"AlreadyCompleted", "OrderUnknown"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RESERVATION_TTL_SECONDS", "0"),
        ("PAYMENT_PROVIDER", "paypal"),
        ("GATEWAY_SUCCESS_PERCENT", "101"),
        ("GATEWAY_LATENCY_MIN_MS", "-1"),
        ("GATEWAY_FRAUD_THRESHOLD", "many"),
    ],
)
def test_a_function_does_not_start_with_a_setting_that_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    Settings.from_environment().gateway(handler.database)
    monkeypatch.setenv(variable, value)

    with pytest.raises(ValidationError, match=variable.lower()):
        Settings.from_environment().gateway(handler.database)


def test_the_handlers_fit_on_a_screen() -> None:
    assert handler.__file__
    assert len(Path(handler.__file__).read_text(encoding="utf-8").splitlines()) < 80
