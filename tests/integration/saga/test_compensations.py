"""Compensations: once however often, for nothing if nothing happened, and never silently given up."""

from collections.abc import Callable
from uuid import UUID

import pytest

from functions.saga_steps import stock
from orders import db
from orders.db import Credentials, Database
from orders.errors import DatabaseUnavailable
from tests.integration.saga.pipeline import (
    CHAIN,
    FORWARD,
    HELD,
    REFUNDED,
    SOLD,
    UNTOUCHED,
    Ending,
    Pipeline,
)
from tests.support.asl import Fault, When

RESTORED = ["RESTORED", "RESTORED"]
TOLD = ["order_cancelled"]
UNDONE = Ending(
    "CANCELLED",
    "PROCESSING_FAILED",
    reservations=RESTORED,
    payment="REFUNDED",
    ledger=REFUNDED,
    told=TOLD,
)

LEFT_BY_FAILED_COMPENSATION = {
    "RestoreInventory": Ending(
        "NEEDS_REVIEW",
        "PROCESSING_FAILED",
        stock=SOLD,
        reservations=["CONFIRMED", "CONFIRMED"],
        payment="REFUNDED",
        ledger=REFUNDED,
        told=TOLD,
    ),
    "RefundPayment": Ending(
        "NEEDS_REVIEW",
        "PROCESSING_FAILED",
        reservations=RESTORED,
        payment="CAPTURED",
        ledger=REFUNDED[:1],
        told=TOLD,
    ),
    "ReleaseReservation": Ending(
        "NEEDS_REVIEW",
        "PROCESSING_FAILED",
        reservations=RESTORED,
        payment="REFUNDED",
        ledger=REFUNDED,
        told=TOLD,
    ),
    "SendCancellation": Ending(
        "NEEDS_REVIEW",
        "PROCESSING_FAILED",
        reservations=RESTORED,
        payment="REFUNDED",
        ledger=REFUNDED,
        told=[],
    ),
}


@pytest.mark.parametrize("compensation", CHAIN)
def test_a_compensation_whose_answer_is_lost_takes_effect_once(pipeline: Pipeline, compensation: str) -> None:
    order = pipeline.order()

    execution = order.run(Fault("CompleteOrder", When.BEFORE), Fault(compensation, When.AFTER, times=3))

    assert execution.attempts[compensation] == 4
    assert execution.visited == [*FORWARD, *CHAIN]
    assert order.ending() == UNDONE
    assert sorted(order.movements()) == sorted(["RESERVED", "CONFIRMED", "RESTORED"] * 2)


@pytest.mark.parametrize("compensation", CHAIN)
def test_a_repeated_compensation_answers_the_same(pipeline: Pipeline, compensation: str) -> None:
    order = pipeline.order()
    order.run(Fault("CompleteOrder", When.BEFORE))

    assert order.call(compensation) == order.call(compensation)
    assert order.ending() == UNDONE


@pytest.mark.parametrize("compensation", CHAIN)
def test_a_compensation_of_what_never_happened_succeeds(pipeline: Pipeline, compensation: str) -> None:
    order = pipeline.order()

    for _ in range(2):
        answer = order.call(compensation)

        assert answer["orderId"] == str(order.order_id)
        assert answer["step"] == compensation
    ending = order.ending()
    assert ending.stock == UNTOUCHED
    assert ending.ledger == []
    assert order.gateway_attempts() == 0


@pytest.mark.parametrize("compensation", LEFT_BY_FAILED_COMPENSATION)
def test_a_failing_compensation_stops_no_other_and_needs_review(
    pipeline: Pipeline, compensation: str
) -> None:
    order = pipeline.order()

    execution = order.run(
        Fault("CompleteOrder", When.BEFORE), Fault(compensation, When.BEFORE, "DatabaseUnavailable")
    )

    assert execution.visited == [*FORWARD, *CHAIN]
    assert execution.attempts[compensation] == 13
    assert execution.variables["unfinished"] == {compensation: "DatabaseUnavailable"}
    assert order.ending() == LEFT_BY_FAILED_COMPENSATION[compensation]


def test_with_every_compensation_failing_each_is_tried_and_the_order_needs_review(pipeline: Pipeline) -> None:
    order = pipeline.order()
    failing = [Fault(compensation, When.BEFORE) for compensation in CHAIN[:-1]]

    execution = order.run(Fault("CompleteOrder", When.BEFORE), *failing)

    assert execution.visited == [*FORWARD, *CHAIN]
    assert execution.variables["unfinished"] == dict.fromkeys(CHAIN[:-1], "States.Timeout")
    assert order.ending().status == "NEEDS_REVIEW"


def test_an_order_that_cannot_even_be_marked_fails_its_execution(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run(Fault("VerifyStock", When.BEFORE), Fault("MarkCancelled", When.BEFORE))

    assert execution.visited == ["VerifyStock", "SendCancellation", "MarkCancelled"]
    assert (execution.status, execution.error) == ("FAILED", "States.Timeout")
    assert order.ending().status == "PENDING"


def test_an_operator_can_invoke_a_failed_compensation_again(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run(Fault("CompleteOrder", When.BEFORE), Fault("RefundPayment", When.BEFORE))

    answer = order.call("RefundPayment")

    assert answer["outcome"] == "REFUNDED"
    assert order.ending().ledger == REFUNDED
    assert order.ending().status == "NEEDS_REVIEW"


@pytest.mark.parametrize("compensate", [stock.restore, stock.release])
def test_a_compensation_that_cannot_reach_the_database_says_so(
    pipeline: Pipeline,
    shared_credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
    compensate: Callable[[Database, UUID], object],
) -> None:
    """The state machine can only try again, or ask for a review, what it has been told of."""
    monkeypatch.setattr(db, "BACKOFF_SECONDS", (0.0,) * len(db.BACKOFF_SECONDS))
    nowhere = Database(lambda: shared_credentials.model_copy(update={"host": "/nowhere"}))

    with pytest.raises(DatabaseUnavailable):
        compensate(nowhere, pipeline.order().order_id)


@pytest.mark.parametrize("step", ["ReserveInventory", "ProcessPayment"])
def test_an_order_that_still_holds_something_needs_review_although_every_compensation_claims_success(
    pipeline: Pipeline, step: str
) -> None:
    order = pipeline.order()
    order.run_until(FORWARD[FORWARD.index(step) + 1])

    answer = order.call("MarkCancelled")

    assert answer["outcome"] == "NEEDS_REVIEW"
    assert order.ending().status == "NEEDS_REVIEW"
    assert order.ending().stock == HELD


def test_an_order_whose_money_alone_is_still_held_needs_review(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run_until("ConfirmReservation")
    order.call("ReleaseReservation")

    assert order.call("MarkCancelled")["outcome"] == "NEEDS_REVIEW"
    assert order.ending().stock == UNTOUCHED


def test_a_payment_whose_outcome_nobody_knows_needs_review(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_down")
    order.run_until("ProcessPayment")
    with pytest.raises(Exception, match="failed technically"):
        order.call("ProcessPayment")
    order.call("ReleaseReservation")

    assert order.call("MarkCancelled")["outcome"] == "NEEDS_REVIEW"


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        ("InsufficientStock", "INSUFFICIENT_STOCK", "order_cancelled"),
        ("PaymentDeclined", "PAYMENT_DECLINED", "payment_failed"),
        ("FraudSuspected", "FRAUD_SUSPECTED", "payment_failed"),
        ("PaymentGatewayUnavailable", "PAYMENT_UNAVAILABLE", "payment_failed"),
        ("ReservationExpired", "RESERVATION_EXPIRED", "order_cancelled"),
        ("States.Timeout", "PROCESSING_FAILED", "order_cancelled"),
        ("OrderIncomplete", "PROCESSING_FAILED", "order_cancelled"),
    ],
)
def test_the_error_that_ended_the_saga_decides_the_reason_and_the_message(
    pipeline: Pipeline, error: str, reason: str, told: str
) -> None:
    order = pipeline.order()

    order.call("SendCancellation", error)
    order.call("MarkCancelled", error)

    assert order.ending().reason == reason
    assert order.ending().told == [told]


def test_a_repeated_mark_keeps_what_the_first_one_decided(pipeline: Pipeline) -> None:
    cancelled, reviewed = pipeline.order(), pipeline.order()
    cancelled.call("MarkCancelled", "PaymentDeclined")
    reviewed.call("MarkCancelled", "PaymentDeclined", RefundPayment="States.Timeout")

    assert cancelled.call("MarkCancelled", "X", RefundPayment="States.Timeout")["outcome"] == "CANCELLED"
    assert reviewed.call("MarkCancelled", "X")["outcome"] == "NEEDS_REVIEW"
    assert cancelled.ending().reason == reviewed.ending().reason == "PAYMENT_DECLINED"
