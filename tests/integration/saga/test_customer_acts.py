"""A payment that needs its customer: they act in time, too late, twice or never, and whoever wakes the saga is early,
late, lost, or wrong."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from functions.maintenance.stock import expire_reservations
from functions.saga_steps import payment
from orders import saga
from orders.db import Database
from orders.errors import (
    PaymentActionRequired,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    PaymentNotCompleted,
    StepFenced,
)
from orders.payments import actions
from payment_simulator import customers
from payment_simulator.gateway import SimulatedGateway
from tests.integration.maintenance.support import PLENTY
from tests.integration.saga.pipeline import (
    CAPTURED,
    CONFIRMED,
    FORWARD,
    HELD,
    Order,
    Pipeline,
    at_once,
)
from tests.integration.saga.test_payment import Killed, Wire, die, payment_row
from tests.support.asl import Execution, Fault, When
from tests.support.factories import TRACE
from tests.support.logs import Logs
from tests.support.payments import BEHAVIOUR

UNDONE = ["RefundPayment", "ReleaseReservation", "SendCancellation", "MarkCancelled"]
REFUSED = ["RestoreInventory", *UNDONE]


def act(order: Order, what: Callable[..., bool] = customers.complete) -> bool:
    """What the customer does at the provider. Nobody is told."""
    return order.pipeline.database.transact(lambda connection: what(connection, f"order-{order.order_id}"))


def wake(order: Order) -> bool:
    """What whoever learns of it does. False: no execution waits."""
    database = order.pipeline.database
    token = database.transact(lambda connection: actions.end(connection, order.order_id))
    return token is not None and actions.wake(order.pipeline.tokens, token)  # type: ignore[arg-type]


def turn_back(order: Order) -> str | None:
    """What a cancellation does."""

    def work(connection: Any) -> str | None:
        saga.turn_back(connection, order.order_id, "CancellationRequested")
        return actions.end(connection, order.order_id)

    return order.pipeline.database.transact(work)


def go_on(execution: Execution) -> list[str]:
    """The states that follow, until the execution waits again or has ended."""
    before = len(execution.visited)
    while execution.step() and not execution.is_waiting:
        pass
    return execution.visited[before:]


def look_in_vain(order: Order, execution: Execution) -> None:
    """It is woken, asks the gateway, and is about to wait again."""
    assert wake(order)
    execution.step()
    execution.step()
    assert execution.next_state == "WaitForPayment"


def let_time_run_out(order: Order) -> None:
    for table in ("reservations", "payment_actions"):
        order.pipeline.execute(
            f"UPDATE {table} SET expires_at = now() WHERE order_id = :order_id", order_id=order.order_id
        )


@pytest.fixture
def order(pipeline: Pipeline) -> Order:
    return pipeline.order("pm_card_requires_action")


@pytest.fixture
def waiting(order: Order) -> Execution:
    execution = order.run()
    assert execution.is_waiting
    return execution


def action(order: Order) -> dict[str, Any]:
    (row,) = order.pipeline.rows(
        "SELECT * FROM payment_actions WHERE order_id = :order_id", order_id=order.order_id
    )
    return row


def test_a_saga_waits_for_its_customer_with_the_stock_held(order: Order, waiting: Execution) -> None:
    assert waiting.visited == [*FORWARD[:3], "WaitForPayment"]
    assert payment_row(order)["status"] == "ACTION_REQUIRED"
    assert payment_row(order)["provider_payment_id"] is not None
    assert action(order)["client_secret"]
    assert order.ending().stock == HELD
    assert "ProcessPayment" not in order.journal()


def test_a_customer_who_acts_is_charged_once(order: Order, waiting: Execution) -> None:
    assert act(order)
    assert wake(order)

    assert go_on(waiting) == FORWARD[2:]

    assert order.ending() == CONFIRMED
    assert action(order)["ended_at"] is not None
    assert action(order)["client_secret"] is None
    assert order.pipeline.rows(
        "SELECT id FROM outbox WHERE subject = :id AND type = 'com.orders.payment.captured.v1'",
        id=order.order_id,
    )


def test_a_customer_who_fails_is_declined(order: Order, waiting: Execution) -> None:
    assert act(order, customers.fail)
    assert wake(order)

    assert go_on(waiting) == ["ProcessPayment", *UNDONE]

    ending = order.ending()
    assert (ending.status, ending.reason, ending.payment) == ("CANCELLED", "PAYMENT_DECLINED", "DECLINED")
    assert ending.ledger == []
    assert ending.told == ["payment_failed"]


def test_a_customer_who_never_acts_costs_the_order_when_the_stock_has_been_held_long_enough(
    order: Order, waiting: Execution
) -> None:
    let_time_run_out(order)

    assert go_on(waiting) == ["ProcessPayment", *UNDONE]

    ending = order.ending()
    assert (ending.status, ending.reason) == ("CANCELLED", "PAYMENT_NOT_COMPLETED")
    assert (ending.payment, ending.ledger, ending.told) == ("VOIDED", [], ["payment_failed"])


def test_a_wait_that_is_over_before_the_stock_is_begins_again(order: Order, waiting: Execution) -> None:
    """Its own time-out is shorter than what the customer has."""
    assert go_on(waiting) == ["ProcessPayment", "WaitForPayment"]
    assert waiting.is_waiting

    assert act(order)
    assert wake(order)
    go_on(waiting)

    assert order.ending() == CONFIRMED


def test_a_customer_whom_nobody_tells_of_is_found_when_the_wait_is_over(
    order: Order, waiting: Execution
) -> None:
    """The provider's webhook was lost."""
    assert act(order)

    assert go_on(waiting) == FORWARD[2:]

    assert order.ending() == CONFIRMED


def test_a_customer_who_acts_in_the_last_moment_is_served(order: Order, waiting: Execution) -> None:
    let_time_run_out(order)
    assert act(order)

    go_on(waiting)

    assert order.ending() == CONFIRMED


def test_a_customer_who_acts_twice_is_charged_once(order: Order, waiting: Execution) -> None:
    assert [act(order), act(order), act(order, customers.fail)] == [True, False, False]
    assert [wake(order), wake(order)] == [True, True]

    go_on(waiting)

    assert order.ending() == CONFIRMED
    assert wake(order) is False


def test_a_wake_up_for_nothing_makes_the_saga_look_and_wait_on(order: Order, waiting: Execution) -> None:
    first = action(order)["task_token"]
    assert wake(order)

    assert go_on(waiting) == ["ProcessPayment", "WaitForPayment"]

    assert waiting.is_waiting
    assert action(order)["ended_at"] is None
    assert action(order)["client_secret"]
    assert action(order)["task_token"] != first


def test_who_acts_between_a_look_and_the_next_wait_is_not_waited_for(
    order: Order, waiting: Execution
) -> None:
    look_in_vain(order, waiting)

    assert act(order)
    # No token to wake anybody with, but the mark.
    order.pipeline.database.transact(lambda connection: actions.end(connection, order.order_id))

    assert go_on(waiting) == ["WaitForPayment", *FORWARD[2:]]
    assert order.ending() == CONFIRMED


def test_who_acts_before_the_action_is_recorded_is_not_waited_for(order: Order) -> None:
    """No client knows of the action yet, but a provider may have others means to reach its customer."""
    order.run_until("ProcessPayment")
    wire = Wire(order.pipeline.gateway, after={"capture": lambda: act(order)})

    assert payment.process(order.pipeline.database, wire, order.order_id, TRACE) == "CAPTURED"

    assert order.ending().ledger == CAPTURED
    assert order.run().visited == FORWARD


def test_the_token_of_a_saga_that_has_ended_wakes_nobody(order: Order, waiting: Execution) -> None:
    let_time_run_out(order)
    go_on(waiting)

    assert wake(order) is False
    assert act(order) is False, "a voided payment cannot be captured"
    assert order.ending().ledger == []


def test_an_order_that_is_turned_back_while_it_waits_is_undone_at_once(
    order: Order, waiting: Execution
) -> None:
    token = turn_back(order)
    assert token is not None
    assert actions.wake(order.pipeline.tokens, token)  # type: ignore[arg-type]

    assert go_on(waiting) == ["ProcessPayment", *REFUSED]

    ending = order.ending()
    assert (ending.status, ending.reason) == ("CANCELLED", "CANCELLATION_REQUESTED")
    assert (ending.payment, ending.ledger) == ("VOIDED", [])
    assert act(order) is False


def test_a_customer_who_acts_on_an_order_that_is_turned_back_gets_their_money_back(
    order: Order, waiting: Execution
) -> None:
    turn_back(order)
    assert act(order)

    go_on(waiting)

    assert order.ending().status == "CANCELLED"
    assert [kind for kind, _ in order.ending().ledger] == ["CAPTURE", "REFUND"]


def test_an_order_that_is_turned_back_while_it_is_charged_does_not_wait(order: Order) -> None:
    order.run_until("ProcessPayment")
    wire = Wire(order.pipeline.gateway, after={"capture": lambda: turn_back(order)})

    with pytest.raises(StepFenced):
        payment.process(order.pipeline.database, wire, order.order_id, TRACE)

    assert order.run().visited[-1] == "MarkCancelled"
    assert order.ending().payment == "VOIDED"


def test_a_token_of_an_order_that_is_turned_back_is_sent_back_at_once(
    order: Order, waiting: Execution
) -> None:
    look_in_vain(order, waiting)
    turn_back(order)

    assert go_on(waiting) == ["WaitForPayment", "ProcessPayment", *REFUSED]


@pytest.mark.parametrize("when", list(When))
def test_a_wait_that_fails_asks_the_gateway(order: Order, when: When) -> None:
    execution = order.run(Fault("WaitForPayment", when, "DatabaseUnavailable", times=4))

    assert execution.visited.count("ProcessPayment") == 2
    assert execution.is_waiting
    assert act(order)
    assert wake(order)
    go_on(execution)
    assert order.ending().status == "CONFIRMED"


def test_an_execution_that_takes_over_waits_in_its_place(order: Order, waiting: Execution) -> None:
    """The first one is lost."""
    other = order.run()
    assert other.is_waiting

    assert act(order)
    assert wake(order)
    go_on(other)

    assert order.ending() == CONFIRMED


def test_stock_is_not_given_back_while_its_customer_may_be_charged(order: Order, waiting: Execution) -> None:
    let_time_run_out(order)

    assert expire_reservations(order.pipeline.database, PLENTY) == 0

    assert order.ending().stock == HELD
    go_on(waiting)
    assert order.ending().reservations == ["RELEASED", "RELEASED"]


def test_a_repeated_call_says_the_same_when_the_time_is_over(order: Order, waiting: Execution) -> None:
    let_time_run_out(order)
    with pytest.raises(PaymentNotCompleted):
        order.call("ProcessPayment")

    with pytest.raises(PaymentNotCompleted):
        order.call("ProcessPayment")
    act(order)
    with pytest.raises(PaymentNotCompleted):
        order.call("ProcessPayment")

    assert order.journal()["ProcessPayment"] == "FAILED"
    go_on(waiting)
    assert [kind for kind, _ in order.ending().ledger] == ["CAPTURE", "REFUND"]


def test_a_payment_that_is_declined_when_its_time_is_over_says_so_still(
    order: Order, waiting: Execution
) -> None:
    let_time_run_out(order)
    with pytest.raises(PaymentNotCompleted):
        order.call("ProcessPayment")
    act(order, customers.fail)

    with pytest.raises(PaymentNotCompleted):
        order.call("ProcessPayment")

    go_on(waiting)
    assert order.ending().reason == "PAYMENT_NOT_COMPLETED"
    assert order.ending().payment == "DECLINED"


def test_a_payment_that_its_customer_failed_is_refused_the_same_again(
    order: Order, waiting: Execution
) -> None:
    act(order, customers.fail)
    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            order.call("ProcessPayment")
    go_on(waiting)


@pytest.mark.parametrize("call", ["find", "capture"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_killed_while_it_asks_changes_nothing(order: Order, call: str, when: str) -> None:
    order.run_until("ProcessPayment")
    with pytest.raises(Killed):
        payment.process(
            order.pipeline.database,
            Wire(order.pipeline.gateway, **{when: {call: die}}),
            order.order_id,
            TRACE,
        )

    execution = order.run()

    assert execution.is_waiting
    assert act(order)
    go_on(execution)
    assert order.ending() == CONFIRMED


def test_a_look_that_times_out_leaves_the_customer_their_action(order: Order, waiting: Execution) -> None:
    def time_out() -> None:
        raise PaymentGatewayTimeout("no answer")

    wire = Wire(order.pipeline.gateway, before={"find": time_out})
    with pytest.raises(PaymentGatewayUnavailable):
        payment.process(order.pipeline.database, wire, order.order_id, TRACE)

    assert payment_row(order)["status"] == "ACTION_REQUIRED"
    assert act(order)
    go_on(waiting)


def test_a_customer_and_a_void_at_once_leave_nothing_charged(
    order: Order, process: Callable[[], Database]
) -> None:
    databases = process(), process()
    gateway = SimulatedGateway(databases[1], BEHAVIOUR)
    for _ in range(10):
        order = order.pipeline.order("pm_card_requires_action")
        order.run()
        key = f"order-{order.order_id}"

        acted, refunded = at_once(
            partial(databases[0].transact, partial(_complete, key)),
            partial(payment.refund, databases[1], gateway, order.order_id, TRACE),
        )

        assert refunded == ("REFUNDED" if acted else "VOIDED")
        assert len(order.ending().ledger) == (2 if acted else 0)
        order.call("ReleaseReservation")
        assert order.call("MarkCancelled")["outcome"] == "CANCELLED"


def _complete(key: str, connection: Any) -> bool:
    return customers.complete(connection, key)


def test_an_order_in_review_is_undone_when_it_is_resumed(order: Order, waiting: Execution) -> None:
    """The gateway could not be told to close the payment, and the customer may act until it is."""
    let_time_run_out(order)
    waiting.faults.append(Fault("RefundPayment", When.BEFORE, "PaymentGatewayUnavailable"))
    go_on(waiting)
    assert order.ending().status == "NEEDS_REVIEW"

    assert order.call("RefundPayment")["outcome"] == "VOIDED"
    assert act(order) is False


def test_nothing_is_asked_of_a_customer_whose_order_is_being_undone(order: Order, waiting: Execution) -> None:
    """The gateway cannot be told to close the payment for now."""
    wire = Wire(order.pipeline.gateway, before={"find": die})
    with pytest.raises(Killed):
        payment.refund(order.pipeline.database, wire, order.order_id, TRACE)

    assert action(order)["ended_at"] is not None
    assert action(order)["client_secret"] is None
    go_on(waiting)
    assert order.ending().payment == "VOIDED"


def test_the_token_and_the_client_s_secret_are_in_no_log(order: Order, logs: Logs) -> None:
    order.run()
    wake(order)
    with pytest.raises(PaymentActionRequired):
        order.call("ProcessPayment")

    row = action(order)
    assert "WaitForPayment" in logs.everything
    assert row["task_token"] not in logs.everything
    assert row["client_secret"] not in logs.everything
    assert {line["level"] for line in logs.lines} <= {"INFO", "WARNING"}
