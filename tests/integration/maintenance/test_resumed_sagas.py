"""An execution may die anywhere, way back included. The one that takes over ends the order as the dead one would have:
the same status for the same reason, with everything undone or everything done."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from functions.maintenance.stuck_orders import PATIENCE_SECONDS, StuckOrders
from orders.db import Database
from orders.executions import ExecutionStatus
from tests.integration.cancel_order.cancelling import NEVER_CHARGED, cancel
from tests.integration.maintenance.support import PLENTY, StepFunctions, let_time_pass, publish_all
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import CHAIN, CONFIRMED, FORWARD, Ending, Order, Pipeline
from tests.integration.saga.test_failure_points import FAILURE_POINTS, FailurePoint
from tests.support.asl import Execution, Fault
from tests.support.factories import TRACE

CANCELLING = {name: point for name, point in FAILURE_POINTS.items() if point.ending != CONFIRMED}


def die_before(order: Order, state: str, point: FailurePoint | None = None) -> None:
    """Runs the saga to `state`, where its execution dies."""
    faults = [Fault(point.at, point.fault)] if point and point.fault else []
    execution = order.pipeline.machine.start(order.input, faults)
    happening = dict(point.meanwhile) if point else {}
    while execution.next_state != state:
        happening.pop(execution.next_state, nothing)(order)
        assert execution.step(), f"{state} was never reached"


def nothing(order: Order) -> None:
    """Happens in between."""


def take_over(order: Order) -> Execution:
    """The next execution, which knows nothing of the dead one."""
    return order.run()


DEATHS_ON_THE_WAY_BACK = [
    pytest.param(point, state, id=f"{name}, dies before {state}")
    for name, point in CANCELLING.items()
    for state in point.compensations[1:]
]


def alike(ending: Ending, expected: Ending) -> bool:
    """The whole chain closes also the payment that a shorter way back had no need to look at."""
    closed = replace(expected, payment=expected.payment or "VOIDED")
    return ending in (expected, closed)


@pytest.mark.parametrize(("point", "state"), DEATHS_ON_THE_WAY_BACK)
def test_a_saga_that_died_on_its_way_back_is_taken_back_to_the_same_end(
    pipeline: Pipeline,  # noqa: F811
    point: FailurePoint,
    state: str,
) -> None:
    order = pipeline.order(point.payment_method)
    die_before(order, state, point)

    execution = take_over(order)

    assert execution.visited == ["VerifyStock", *CHAIN]
    assert alike(order.ending(), point.ending)


@pytest.mark.parametrize(("point", "state"), DEATHS_ON_THE_WAY_BACK)
def test_it_may_die_again_at_any_step_of_the_way_back(
    pipeline: Pipeline,  # noqa: F811
    point: FailurePoint,
    state: str,
) -> None:
    order = pipeline.order(point.payment_method)
    die_before(order, state, point)
    for again in CHAIN:
        die_before(order, again)

    take_over(order)

    assert alike(order.ending(), point.ending)


@pytest.mark.parametrize("state", FORWARD)
def test_a_saga_that_died_on_its_way_forward_goes_on(pipeline: Pipeline, state: str) -> None:  # noqa: F811
    order = pipeline.order()
    die_before(order, state)

    execution = take_over(order)

    assert execution.visited == FORWARD
    assert order.ending() == CONFIRMED


@pytest.mark.parametrize("point", CANCELLING.values(), ids=CANCELLING.keys())
def test_a_saga_that_died_of_its_failure_has_another_chance_unless_the_failure_is_final(
    pipeline: Pipeline,  # noqa: F811
    point: FailurePoint,
) -> None:
    order = pipeline.order(point.payment_method)
    die_before(order, point.compensations[0], point)

    take_over(order)

    final = point.fault is None
    assert order.ending() == (point.ending if final else CONFIRMED)


def test_a_first_step_that_failed_for_now_is_not_charged_for_after_the_customer_was_told(
    pipeline: Pipeline,  # noqa: F811
) -> None:
    """Taken over from its first step it could well succeed now; but the cancellation is on its way."""
    point = FAILURE_POINTS["VerifyStock: fails before its effect"]
    order = pipeline.order()
    die_before(order, "MarkCancelled", point)

    take_over(order)

    ending = order.ending()
    assert (ending.status, ending.told, ending.ledger) == ("CANCELLED", ["order_cancelled"], [])


@pytest.mark.parametrize("compensation", CHAIN[:-1])
def test_a_compensation_that_the_dead_one_had_to_leave_out_is_made_good(
    pipeline: Pipeline,  # noqa: F811
    compensation: str,
) -> None:
    """The dead execution took what it could not undo with it; nobody needs to review what can be undone now."""
    point = FAILURE_POINTS["CompleteOrder: fails before its effect"]
    order = pipeline.order()
    execution = pipeline.machine.start(
        order.input, [Fault(point.at, point.fault), Fault(compensation, point.fault)] if point.fault else []
    )
    while execution.next_state != "MarkCancelled":
        assert execution.step()

    take_over(order)

    assert order.ending() == point.ending


def test_a_dead_saga_is_found_and_taken_over(
    pipeline: Pipeline,  # noqa: F811
    process: Callable[[], Database],  # noqa: F811
    step_functions: StepFunctions,
) -> None:
    """Both halves together: maintenance finds it, and what it starts ends the order."""
    point = FAILURE_POINTS["ConfirmReservation: the reservation has expired"]
    order = pipeline.order()
    publish_all(pipeline.database)
    step_functions.executions.start(order.order_id, TRACE)
    die_before(order, "ReleaseReservation", point)
    step_functions.end(order.order_id, ExecutionStatus.ABORTED)
    let_time_pass(pipeline.database, PATIENCE_SECONDS + 1)

    StuckOrders(process(), lambda: step_functions.executions, PLENTY).resume()

    assert step_functions.started[f"order-{order.order_id}-r1"] == "RUNNING"
    take_over(order)
    assert order.ending() == point.ending


def test_an_order_that_is_cancelled_before_it_begins_ends_although_its_message_is_lost(
    pipeline: Pipeline,  # noqa: F811
    process: Callable[[], Database],  # noqa: F811
    step_functions: StepFunctions,
) -> None:
    order = pipeline.order()
    publish_all(pipeline.database)
    cancel(order)
    let_time_pass(pipeline.database, PATIENCE_SECONDS + 1)

    StuckOrders(process(), lambda: step_functions.executions, PLENTY).resume()

    assert step_functions.started[f"order-{order.order_id}"] == "RUNNING"
    take_over(order)
    assert order.ending() == NEVER_CHARGED
