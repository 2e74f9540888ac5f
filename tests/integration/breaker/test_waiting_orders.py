"""What an order meets when the gateway is given a rest: it waits, it is not cancelled (trap T7)."""

from contextlib import suppress

import pytest

from orders.errors import PaymentGatewayCircuitOpen, PaymentGatewayUnavailable
from orders.payments.breaker import POLICY, CircuitBreaker
from payment_simulator import outages
from tests.integration.breaker.test_breaker import let_time_pass
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import CONFIRMED, FORWARD, Order, Pipeline
from tests.support.asl import Fault, When
from tests.support.factories import execute

REST = PaymentGatewayCircuitOpen.__name__


@pytest.fixture
def guarded(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:  # noqa: F811
    """The saga with its gateway behind the breaker, and the circuit closed."""
    execute(pipeline.database, "DELETE FROM circuit_breakers")
    pipeline.database.transact(outages.end)
    pipeline.gateway = CircuitBreaker(pipeline.gateway, pipeline.database)
    pipeline.deploy(monkeypatch)
    return pipeline


def open_the_circuit(guarded: Pipeline) -> None:
    """By an outage of the whole gateway, as the payments of several orders meet it. It is over afterwards."""
    orders = [guarded.order() for _ in range(POLICY.calls)]
    for order in orders:
        order.run_until("ProcessPayment")
    guarded.database.transact(lambda connection: outages.begin(connection, 600))
    for order in orders:
        with pytest.raises(PaymentGatewayUnavailable, match="down"):
            order.call("ProcessPayment")
    guarded.database.transact(outages.end)


@pytest.mark.parametrize("method", ["pm_card_down", "pm_card_flaky", "pm_card_timeout"])
def test_a_customers_failing_methods_make_nobody_else_wait(guarded: Pipeline, method: str) -> None:
    for _ in range(POLICY.calls // 2):
        failing = guarded.order(method)
        failing.run_until("ProcessPayment")
        for _ in range(2):
            with suppress(PaymentGatewayUnavailable):
                failing.call("ProcessPayment")

    order = guarded.order()
    assert order.run().attempts["ProcessPayment"] == 1
    assert order.ending() == CONFIRMED


def test_orders_that_find_the_gateway_down_make_the_next_one_wait(guarded: Pipeline) -> None:
    open_the_circuit(guarded)
    order = guarded.order()
    order.run_until("ProcessPayment")

    with pytest.raises(PaymentGatewayCircuitOpen):
        order.call("ProcessPayment")

    assert order.gateway_attempts() == 0
    assert order.ending().status == "PROCESSING"
    let_time_pass(guarded.database, POLICY.open_seconds)
    assert order.run().visited == FORWARD
    assert order.ending() == CONFIRMED


def test_a_refund_waits_as_well(guarded: Pipeline) -> None:
    order = guarded.order()
    order.run_until("ConfirmReservation")
    open_the_circuit(guarded)

    with pytest.raises(PaymentGatewayCircuitOpen):
        order.call("RefundPayment")

    let_time_pass(guarded.database, POLICY.open_seconds)
    assert order.call("RefundPayment")["outcome"] == "REFUNDED"


@pytest.mark.parametrize("state", ["ProcessPayment", "RefundPayment"])
def test_the_state_machine_waits_far_longer_than_for_a_gateway_that_fails(
    guarded: Pipeline, state: str
) -> None:
    order = guarded.order()
    way_back = [Fault("CompleteOrder", When.BEFORE)] if state == "RefundPayment" else []

    execution = order.run(Fault(state, When.BEFORE, REST, times=50), *way_back)

    assert execution.attempts[state] == 51
    assert order.ending().status == ("CANCELLED" if way_back else "CONFIRMED")


def test_an_order_that_waited_in_vain_is_cancelled_for_want_of_payment(guarded: Pipeline) -> None:
    order: Order = guarded.order()

    order.run(Fault("ProcessPayment", When.BEFORE, REST))

    ending = order.ending()
    assert (ending.status, ending.reason) == ("CANCELLED", "PAYMENT_UNAVAILABLE")
    assert ending.told == ["payment_failed"]
