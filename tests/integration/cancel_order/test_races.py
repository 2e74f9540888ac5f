"""Cancellations that meet each other, and the steps that end an order: each lands on one side."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest
from sqlalchemy import Connection, event

from functions.saga_steps import order as order_steps
from functions.saga_steps.events import Failure
from orders.cancellations import CancellationState
from orders.db import Database
from orders.domain import CancellationOutcome, SagaStep
from orders.errors import OrderAlreadyCancelled, StepFenced
from tests.integration.cancel_order.cancelling import (
    SALE_UNDONE,
    cancel,
    cancellations_of,
    refunds_of,
)
from tests.integration.saga.pipeline import (
    CONFIRMED,
    FORWARD,
    Order,
    Pipeline,
    at_once,
    wait_until_somebody_waits_for_a_lock,
)
from tests.support.factories import TRACE

CUSTOMERS: Final = 20
ROUNDS: Final = 10
PATIENCE_SECONDS: Final = 10

_FAILURE = Failure(step=SagaStep.COMPLETE_ORDER, error="States.Timeout")


@pytest.fixture(autouse=True)
def _no_deadlock(caplog: pytest.LogCaptureFixture) -> object:
    """Postgres breaks none: `Database.transact` tries again, so no caller would notice one."""
    caplog.set_level(logging.WARNING)
    yield
    assert "40P01" not in caplog.text


def complete(database: Database, order: Order) -> object:
    return order_steps.complete(database, order.order_id, TRACE)


def mark_cancelled(database: Database, order: Order) -> object:
    return order_steps.cancel(database, order.order_id, _FAILURE, {}, TRACE)


def held_at_commit(
    pipeline: Pipeline,
    process: Callable[[], Database],
    first: Callable[[Database], object],
    second: Callable[[], object],
) -> tuple[object, object]:
    """What both came to: the second begins when the first has done everything but commit, and waits for it."""
    database = process()
    results: list[object] = [None, None]

    def run(place: int, call: Callable[[], object]) -> None:
        try:
            results[place] = call()
        except Exception as error:
            results[place] = error

    begun: list[threading.Thread] = []

    def before_commit(connection: Connection) -> None:
        if not begun:
            begun.append(threading.Thread(target=run, args=(1, second)))
            begun[0].start()
            wait_until_somebody_waits_for_a_lock(pipeline, timeout_seconds=PATIENCE_SECONDS)

    event.listen(database.engine, "commit", before_commit)
    run(0, lambda: first(database))
    begun[0].join()
    return results[0], results[1]


@pytest.fixture
def sold(pipeline: Pipeline) -> Order:
    """An order that CompleteOrder is about to confirm."""
    order = pipeline.order()
    order.run_until("CompleteOrder")
    return order


def test_a_cancellation_that_waits_for_complete_order_finds_a_confirmed_order_and_refunds_it(
    pipeline: Pipeline, process: Callable[[], Database], sold: Order
) -> None:
    status, cancellation = held_at_commit(
        pipeline, process, lambda database: complete(database, sold), partial(cancel, sold, process())
    )

    assert status == "CONFIRMED"
    assert isinstance(cancellation, CancellationState), cancellation
    assert cancellation.outcome is CancellationOutcome.REFUNDING
    assert sold.ending() == CONFIRMED
    assert len(refunds_of(sold)) == 1


def test_complete_order_that_waits_for_a_cancellation_is_refused(
    pipeline: Pipeline, process: Callable[[], Database], sold: Order
) -> None:
    cancellation, refused = held_at_commit(
        pipeline, process, partial(cancel, sold), partial(complete, process(), sold)
    )

    assert isinstance(cancellation, CancellationState), cancellation
    assert cancellation.outcome is CancellationOutcome.CANCELLING
    assert isinstance(refused, StepFenced)
    sold.run()
    assert sold.ending() == SALE_UNDONE
    assert not refunds_of(sold)


def test_a_cancellation_that_waits_for_the_orders_other_end_is_told_of_it(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    """It has seen the order on its way; what it is told is how the order has ended."""
    order = pipeline.order()
    order.run_until("ReserveInventory")

    status, refused = held_at_commit(
        pipeline, process, lambda database: mark_cancelled(database, order), partial(cancel, order, process())
    )

    assert status == "CANCELLED"
    assert isinstance(refused, OrderAlreadyCancelled), refused
    assert not cancellations_of(order)


def test_a_cancellation_and_complete_order_at_once_land_on_one_side(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    databases = process(), process()
    for _ in range(ROUNDS):
        order = pipeline.order()
        order.run_until("CompleteOrder")

        cancellation, status = at_once(
            partial(cancel, order, databases[0]), partial(complete, databases[1], order)
        )

        assert isinstance(cancellation, CancellationState), cancellation
        order.run()
        if cancellation.outcome is CancellationOutcome.REFUNDING:
            assert status == "CONFIRMED"
            assert order.ending() == CONFIRMED
            assert len(refunds_of(order)) == 1
        else:
            assert isinstance(status, StepFenced)
            assert order.ending() == SALE_UNDONE
            assert not refunds_of(order)


@pytest.mark.parametrize("steps", range(len(FORWARD) + 1))
def test_twenty_cancellations_at_once_have_one_effect(
    pipeline: Pipeline, process: Callable[[], Database], steps: int
) -> None:
    """At whatever point of the saga."""
    order = pipeline.order()
    for step in FORWARD[:steps]:
        order.call(step)

    outcomes = at_once(*(partial(cancel, order, process()) for _ in range(CUSTOMERS)))

    cancellations = [outcome for outcome in outcomes if isinstance(outcome, CancellationState)]
    assert len(cancellations) == CUSTOMERS, outcomes
    assert len({(one.outcome, one.refund_id, one.requested_at) for one in cancellations}) == 1
    assert len(cancellations_of(order)) == 1
    is_confirmed = steps == len(FORWARD)
    assert len(refunds_of(order)) == (1 if is_confirmed else 0)
    order.run()
    assert order.ending().status == ("CONFIRMED" if is_confirmed else "CANCELLED")
