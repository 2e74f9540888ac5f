"""A seed is all that a run is made of."""

from collections.abc import Iterable

import pytest

from orders.events import EVENT_QUEUES, Queue
from tools.chaos.plan import (
    BUSY_QUEUES,
    DEFAULT_ORDERS,
    MINIMUM_INJECTIONS,
    Fault,
    Target,
    make,
    minimum_injections,
)

FROM_OUTSIDE = set(Fault) - {
    Fault.GATEWAY_TIMEOUT,
    Fault.DUPLICATE_POST,
    Fault.CHANGED_POST,
    Fault.CANCELLED_ORDER,
}


def test_the_same_seed_makes_the_same_orders_and_the_same_faults() -> None:
    assert make(7) == make(7)


def test_another_seed_makes_other_ones() -> None:
    first, second = make(7), make(8)
    assert first.orders != second.orders
    assert first.faults != second.faults


def test_a_kind_that_is_left_out_changes_none_of_the_others() -> None:
    everything = make(7)
    without = make(7, faults=set(Fault) - {Fault.RESTART_POSTGRES})
    assert without.orders == everything.orders
    assert without.faults == tuple(
        strike for strike in everything.faults if strike.fault is not Fault.RESTART_POSTGRES
    )


def test_faults_are_listed_in_the_order_of_their_times_and_within_the_run() -> None:
    plan = make(7)
    times = [strike.at for strike in plan.faults]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= plan.seconds


def test_a_run_of_the_default_size_plans_more_of_each_fault_than_has_to_strike() -> None:
    plan = make(7)
    planned = {fault: sum(strike.fault is fault for strike in plan.faults) for fault in FROM_OUTSIDE}
    assert all(number > MINIMUM_INJECTIONS for number in planned.values())
    assert sum(order.payment_method == "pm_card_timeout" for order in plan.orders) >= MINIMUM_INJECTIONS
    assert sum(order.copies > 1 for order in plan.orders) >= MINIMUM_INJECTIONS
    assert sum(order.is_changed for order in plan.orders) >= MINIMUM_INJECTIONS
    assert sum(order.cancelled_after is not None for order in plan.orders) > MINIMUM_INJECTIONS
    assert sum(order.returned_at is not None for order in plan.warm_up) > MINIMUM_INJECTIONS
    assert plan.minimum == dict.fromkeys(Fault, MINIMUM_INJECTIONS)


def test_small_runs_still_see_every_fault_and_every_payment_method() -> None:
    plan = make(7, orders=20)
    assert {strike.fault for strike in plan.faults} == FROM_OUTSIDE
    assert {order.payment_method for order in plan.orders} == {
        "pm_card_visa",
        "pm_simulated",
        "pm_card_declined",
        "pm_card_fraud",
        "pm_card_flaky",
        "pm_card_timeout",
        "pm_card_down",
        "pm_card_requires_action",
    }
    assert len(plan.orders) == 20


@pytest.mark.parametrize(("orders", "strikes"), [(1, 1), (60, 1), (120, 2), (DEFAULT_ORDERS, 5), (1000, 5)])
def test_fewer_orders_ask_for_fewer_strikes(orders: int, strikes: int) -> None:
    assert minimum_injections(orders) == strikes


@pytest.mark.parametrize(
    ("fault", "queues"), [(Fault.POISON_MESSAGE, EVENT_QUEUES), (Fault.REDELIVER, BUSY_QUEUES)]
)
def test_every_queue_is_struck(fault: Fault, queues: Iterable[Queue]) -> None:
    struck = {strike.text("queue") for strike in make(7).faults if strike.fault is fault}
    assert struck == set(queues)


def test_every_kind_of_process_is_killed() -> None:
    killed = [strike.text("target") for strike in make(7).faults if strike.fault is Fault.KILL_FUNCTION]
    assert set(killed) == set(Target)


def test_more_is_wanted_of_the_hot_product_than_there_is_and_of_the_others_less() -> None:
    plan = make(7)
    wanted = [0] * len(plan.products)
    for order in plan.orders:
        for product, quantity in order.lines:
            wanted[product] += quantity
    assert wanted[0] > plan.products[0].stock
    assert all(
        number < product.stock for number, product in list(zip(wanted, plan.products, strict=True))[1:]
    )


def test_orders_have_one_line_for_each_product_and_several_products_at_times() -> None:
    lines = [order.lines for order in make(7).orders]
    assert all(len({product for product, _ in each}) == len(each) for each in lines)
    assert {len(each) for each in lines} == {1, 2, 3}


def test_no_two_orders_share_a_key() -> None:
    plan = make(7)
    assert len({order.key for order in plan.orders}) == len(plan.orders)
