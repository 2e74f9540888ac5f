"""`States.Timeout` does not stop a Lambda: a step may have its effect long after the saga has given it up."""

import threading
from collections.abc import Callable

import pytest

from functions.saga_steps import stock
from orders import inventory, saga
from orders.db import Database
from orders.domain import SagaStep
from orders.errors import OrderAlreadyCompleted
from tests.integration.saga.pipeline import (
    CHAIN,
    CONFIRMED,
    FORWARD,
    REFUNDED,
    UNTOUCHED,
    Ending,
    Pipeline,
    wait_until_somebody_waits_for_a_lock,
)
from tests.support.asl import Fault, LateCall, When
from tests.support.factories import TRACE

ATTEMPTS = 4

RELEASED = ["RELEASED", "RELEASED"]
RESTORED = ["RESTORED", "RESTORED"]
CANCELLED = Ending("CANCELLED", "PROCESSING_FAILED", told=["order_cancelled"])

LEFT_BY_LATE_STEP = {
    "ReserveInventory": CANCELLED,
    "ProcessPayment": Ending(
        "CANCELLED", "PROCESSING_FAILED", reservations=RELEASED, payment="VOIDED", told=["order_cancelled"]
    ),
    "ConfirmReservation": Ending(
        "CANCELLED",
        "PROCESSING_FAILED",
        reservations=RELEASED,
        payment="REFUNDED",
        ledger=REFUNDED,
        told=["order_cancelled"],
    ),
    "SendConfirmation": Ending(
        "CANCELLED",
        "PROCESSING_FAILED",
        reservations=RESTORED,
        payment="REFUNDED",
        ledger=REFUNDED,
        told=["order_cancelled"],
    ),
    "CompleteOrder": Ending(
        "CANCELLED",
        "PROCESSING_FAILED",
        reservations=RESTORED,
        payment="REFUNDED",
        ledger=REFUNDED,
        told=["order_cancelled"],
    ),
}


_WHY_IT_TURNED_BACK = "SELECT error FROM saga_steps WHERE order_id = :order_id AND step = 'CompleteOrder'"


@pytest.mark.parametrize("step", LEFT_BY_LATE_STEP)
def test_a_step_that_comes_after_its_compensation_refuses_to_work(pipeline: Pipeline, step: str) -> None:
    order = pipeline.order()

    execution = order.run(Fault(step, When.LATE))

    assert execution.late == [LateCall(step, "StepFenced")] * ATTEMPTS
    assert order.ending() == LEFT_BY_LATE_STEP[step]
    assert order.journal()[step] == "FENCED"


@pytest.mark.parametrize("until", [*CHAIN[1:], None])
def test_a_late_completion_loses_against_any_compensation_that_came_first(
    pipeline: Pipeline, until: str | None
) -> None:
    order = pipeline.order()

    execution = order.run(Fault("CompleteOrder", When.LATE, until=until))

    assert execution.late == [LateCall("CompleteOrder", "StepFenced")] * ATTEMPTS
    assert execution.visited == [*FORWARD, *CHAIN]
    assert order.ending() == LEFT_BY_LATE_STEP["CompleteOrder"]


def test_a_late_completion_that_wins_keeps_the_order_confirmed(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run(Fault("CompleteOrder", When.LATE, until="RestoreInventory"))

    assert execution.late == [LateCall("CompleteOrder", None)] * ATTEMPTS
    assert execution.visited == [*FORWARD, "RestoreInventory", "AlreadyCompleted"]
    assert execution.errors[-1] == ("RestoreInventory", "OrderAlreadyCompleted")
    assert execution.attempts["RestoreInventory"] == 1
    assert order.ending() == CONFIRMED


@pytest.mark.parametrize("compensation", CHAIN)
def test_no_compensation_undoes_a_confirmed_order(pipeline: Pipeline, compensation: str) -> None:
    order = pipeline.order()
    order.run()

    with pytest.raises(Exception, match="came after the order was confirmed") as caught:
        order.call(compensation)

    assert type(caught.value).__name__ == "OrderAlreadyCompleted"
    assert order.ending() == CONFIRMED
    assert compensation not in order.journal()
    assert pipeline.rows(_WHY_IT_TURNED_BACK, order_id=order.order_id) == [{"error": None}]


@pytest.mark.parametrize("compensation", CHAIN)
def test_closing_a_step_of_a_confirmed_order_is_refused(
    pipeline: Pipeline, process: Callable[[], Database], compensation: str
) -> None:
    """Whoever calls it, and whether or not somebody has asked before."""
    order = pipeline.order()
    order.run()

    with pytest.raises(OrderAlreadyCompleted):
        process().transact(lambda connection: saga.close(connection, order.order_id, SagaStep(compensation)))

    assert order.journal() == dict.fromkeys(FORWARD, "SUCCEEDED")


def test_a_late_look_at_the_stock_changes_nothing(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run(Fault("VerifyStock", When.LATE))

    assert execution.late == [LateCall("VerifyStock", "StepFenced")] * ATTEMPTS
    assert order.ending() == CANCELLED


@pytest.mark.parametrize("step", FORWARD)
def test_any_step_refuses_an_order_that_was_cancelled_before_the_step_ever_began(
    pipeline: Pipeline, step: str
) -> None:
    order = pipeline.order(in_stock=0)
    order.run()
    left = order.ending()

    with pytest.raises(Exception) as caught:  # noqa: PT011 (its name is what matters)
        order.call(step)

    assert type(caught.value).__name__ == "StepFenced"
    assert order.ending() == left
    assert left.payment is None
    assert order.gateway_attempts() == 0


def test_a_late_reservation_between_its_compensation_and_the_end_holds_nothing(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run(Fault("ReserveInventory", When.LATE, until="SendCancellation"))

    assert execution.late == [LateCall("ReserveInventory", "StepFenced")] * ATTEMPTS
    assert order.ending() == CANCELLED


def test_a_late_reservation_before_its_compensation_is_released_by_it(pipeline: Pipeline) -> None:
    order = pipeline.order()

    execution = order.run(Fault("ReserveInventory", When.LATE, until="ReleaseReservation"))

    assert execution.late == [LateCall("ReserveInventory", None)] * ATTEMPTS
    assert order.ending().reservations == RELEASED
    assert order.ending().stock == UNTOUCHED


def test_a_compensation_waits_for_a_step_that_is_under_way_and_undoes_it(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = pipeline.order()
    order.run_until("ReserveInventory")
    releasing = process()
    release = threading.Thread(target=stock.release, args=(releasing, order.order_id))

    with process().engine.begin() as connection:
        saga.begin(connection, order.order_id, SagaStep.RESERVE_INVENTORY)
        inventory.reserve(connection, order.order_id, ttl_seconds=900)
        release.start()
        wait_until_somebody_waits_for_a_lock(pipeline)
    release.join()

    assert order.ending().reservations == RELEASED
    assert order.ending().stock == UNTOUCHED
    assert order.journal()["ReserveInventory"] == "COMPENSATED"


def test_a_step_waits_for_a_compensation_that_is_under_way_and_refuses(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = pipeline.order()
    order.run_until("ReserveInventory")
    reserving = process()
    errors: list[str] = []

    def reserve() -> None:
        try:
            stock.reserve(reserving, order.order_id, 900, TRACE)
        except Exception as error:
            errors.append(type(error).__name__)

    late = threading.Thread(target=reserve)
    with process().engine.begin() as connection:
        saga.close(connection, order.order_id, SagaStep.RELEASE_RESERVATION)
        inventory.release(connection, order.order_id)
        late.start()
        wait_until_somebody_waits_for_a_lock(pipeline)
    late.join()

    assert errors == ["StepFenced"]
    assert order.ending().reservations == []
    assert order.ending().stock == UNTOUCHED
