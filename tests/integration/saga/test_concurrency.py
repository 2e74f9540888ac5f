"""Many processes at once: each step takes effect once, the last units go to as many buyers, nobody deadlocks."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import pytest
from sqlalchemy import text

from functions.saga_steps import order as order_steps
from functions.saga_steps import payment, stock
from functions.saga_steps.events import Failure
from orders.db import Database
from orders.domain import FailureReason, SagaStep
from orders.errors import InsufficientStock
from payment_simulator.gateway import SimulatedGateway
from tests.integration.saga.pipeline import (
    CHAIN,
    FORWARD,
    Ending,
    Order,
    Pipeline,
    at_once,
    wait_until_somebody_waits_for_a_lock,
)
from tests.support.factories import TRACE, add_product
from tests.support.payments import BEHAVIOUR

ROUNDS: Final = 5

_FAILURE = Failure(step=SagaStep.COMPLETE_ORDER, error="States.Timeout")

Step = Callable[[Database, Order], object]

STEPS: Final[Mapping[str, Step]] = {
    "VerifyStock": lambda database, order: stock.verify(database, order.order_id),
    "ReserveInventory": lambda database, order: stock.reserve(database, order.order_id, 900, TRACE),
    "ProcessPayment": lambda database, order: payment.process(
        database, SimulatedGateway(database, BEHAVIOUR), order.order_id, TRACE
    ),
    "ConfirmReservation": lambda database, order: stock.confirm(database, order.order_id),
    "SendConfirmation": lambda database, order: order_steps.send_confirmation(database, order.order_id),
    "CompleteOrder": lambda database, order: order_steps.complete(database, order.order_id, TRACE),
    "RestoreInventory": lambda database, order: stock.restore(database, order.order_id),
    "RefundPayment": lambda database, order: payment.refund(
        database, SimulatedGateway(database, BEHAVIOUR), order.order_id, TRACE
    ),
    "ReleaseReservation": lambda database, order: stock.release(database, order.order_id),
    "SendCancellation": lambda database, order: order_steps.send_cancellation(
        database, order.order_id, FailureReason.PROCESSING_FAILED, TRACE
    ),
    "MarkCancelled": lambda database, order: order_steps.cancel(
        database, order.order_id, _FAILURE, {}, TRACE
    ),
}


@pytest.fixture
def no_deadlock(caplog: pytest.LogCaptureFixture) -> Callable[[], bool]:
    """Whether Postgres has broken none: `Database.transact` tries again, so no caller would notice one."""
    caplog.set_level(logging.WARNING)
    return lambda: "40P01" not in caplog.text


def left_by_one(pipeline: Pipeline, before: list[str], step: str) -> Ending:
    """What an order is left with after the steps `before` and then `step`, taken one after the other."""
    order = pipeline.order()
    for name in [*before, step]:
        STEPS[name](pipeline.database, order)
    return order.ending()


@pytest.mark.parametrize(
    ("before", "step"),
    [
        *[pytest.param(FORWARD[:index], step, id=step) for index, step in enumerate(FORWARD)],
        *[pytest.param(FORWARD[:5], step, id=step) for step in CHAIN],
        # What is released or cancelled in passing is there to be released or cancelled.
        pytest.param(FORWARD[:2], "ReleaseReservation", id="ReleaseReservation of what is held"),
        pytest.param([], "MarkCancelled", id="MarkCancelled of what never started"),
    ],
)
def test_one_step_in_two_processes_at_once_takes_effect_once(
    pipeline: Pipeline, process: Callable[[], Database], before: list[str], step: str
) -> None:
    expected = left_by_one(pipeline, before, step)
    databases = process(), process()
    for _ in range(ROUNDS):
        order = pipeline.order()
        for name in before:
            STEPS[name](pipeline.database, order)

        first, second = at_once(*[partial(STEPS[step], database, order) for database in databases])

        assert not isinstance(first, Exception)
        assert first == second
        assert order.ending() == expected
        assert len(order.movements()) == len(set(order.movements())) * 2


def test_sixteen_buyers_of_the_last_five_units_make_five_sales(
    pipeline: Pipeline, process: Callable[[], Database], no_deadlock: Callable[[], bool]
) -> None:
    product = add_product(pipeline.database, available=5)
    buyers = [pipeline.order_of([(product, 1)]) for _ in range(16)]
    for buyer in buyers:
        buyer.run_until("ReserveInventory")

    outcomes = at_once(*[partial(STEPS["ReserveInventory"], process(), buyer) for buyer in buyers])

    assert sum(outcome == "ACTIVE" for outcome in outcomes) == 5
    assert sum(isinstance(outcome, InsufficientStock) for outcome in outcomes) == 11
    for buyer, outcome in zip(buyers, outcomes, strict=True):
        # The state machine asks again and is answered as the first time, though units may be free by now.
        execution = buyer.run()
        won = outcome == "ACTIVE"
        assert buyer.ending().status == ("CONFIRMED" if won else "CANCELLED")
        assert execution.attempts["ReserveInventory"] == 1
    assert buyers[0].ending().stock == [(0, 0, 5)]
    assert no_deadlock()


def test_buyers_of_the_same_two_products_in_opposite_orders_do_not_deadlock(
    pipeline: Pipeline, process: Callable[[], Database], no_deadlock: Callable[[], bool]
) -> None:
    products = [add_product(pipeline.database, available=100) for _ in range(2)]
    lines = [(product, 1) for product in products]
    databases = [process() for _ in range(8)]

    for _ in range(ROUNDS):
        crowd = [pipeline.order_of(lines if index % 2 else lines[::-1]) for index in range(len(databases))]
        for step in ("ReserveInventory", "ConfirmReservation", "RestoreInventory"):
            outcomes = at_once(
                *[
                    partial(STEPS[step], database, buyer)
                    for database, buyer in zip(databases, crowd, strict=True)
                ]
            )
            assert not any(isinstance(outcome, Exception) for outcome in outcomes), outcomes
        assert crowd[0].ending().stock == [(100, 0, 0), (100, 0, 0)]

    assert no_deadlock()


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ([], "ReserveInventory"),
        (["ReserveInventory"], "ConfirmReservation"),
        (["ReserveInventory"], "ReleaseReservation"),
        (["ReserveInventory", "ConfirmReservation"], "RestoreInventory"),
    ],
)
def test_stock_is_locked_in_the_order_of_the_products_whatever_the_order_of_the_lines(
    pipeline: Pipeline, process: Callable[[], Database], before: list[str], step: str
) -> None:
    products = [add_product(pipeline.database) for _ in range(2)]
    order = pipeline.order_of([(product, 1) for product in products[::-1]])
    for name in before:
        STEPS[name](pipeline.database, order)
    thread = threading.Thread(target=STEPS[step], args=(process(), order))

    with process().engine.begin() as connection:
        connection.execute(_LOCK, {"product_id": products[0].product_id})
        thread.start()
        wait_until_somebody_waits_for_a_lock(pipeline)
        # NOWAIT: were the second product locked by whoever waits for the first, this would fail.
        connection.execute(_LOCK, {"product_id": products[1].product_id})
    thread.join()

    assert step in order.journal()


_LOCK: Final = text("SELECT FROM stock WHERE product_id = :product_id FOR UPDATE NOWAIT")
