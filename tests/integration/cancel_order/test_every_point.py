"""A customer cancels at every point of an order's life: before its saga, between each two steps, during each, and after
its end."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, event

from functions.cancel_order.cancel_order import cancel_order
from orders.cancellations import CancellationState
from orders.db import Database
from orders.domain import CancellationOutcome, OrderStatus
from orders.errors import (
    CancellationClosed,
    OrderAlreadyCancelled,
    OrderAlreadyRefunded,
    OrderInReview,
    OrderNotFound,
    ServiceUnavailable,
)
from orders.payments.gateway import Charge, GatewayPayment
from payment_simulator.gateway import SimulatedGateway
from tests.integration.cancel_order.cancelling import (
    GIVEN_BACK,
    NEVER_CHARGED,
    RELEASED,
    SALE_UNDONE,
    WINDOW_MINUTES,
    cancel,
    cancellations_of,
    operator_actions_of,
    refunds_of,
    request,
)
from tests.integration.refunds.support import deploy as deploy_refunds
from tests.integration.refunds.support import payment_of
from tests.integration.refunds.support import run as run_refund
from tests.integration.saga.pipeline import CHAIN, CONFIRMED, FORWARD, TOTAL, UNTOUCHED, Order, Pipeline
from tests.support.asl import TIMEOUT, Fault, When
from tests.support.factories import ALICE, BOB
from tests.support.payments import BEHAVIOUR

BETWEEN = {
    "VerifyStock": NEVER_CHARGED,
    "ReserveInventory": NEVER_CHARGED,
    "ProcessPayment": RELEASED,
    "ConfirmReservation": GIVEN_BACK,
    "SendConfirmation": SALE_UNDONE,
    "CompleteOrder": SALE_UNDONE,
}
"""What is left of an order that is cancelled just before this step. VerifyStock: nobody has begun it yet."""

DURING = {
    "VerifyStock": NEVER_CHARGED,
    "ReserveInventory": RELEASED,
    "ProcessPayment": GIVEN_BACK,
    "ConfirmReservation": SALE_UNDONE,
    "SendConfirmation": SALE_UNDONE,
}
"""The same, just before the commit of the step's effect. CompleteOrder has tests of its own: test_races.py."""


TIMED_OUT = ("WaitForPayment", TIMEOUT)


def cancelled_before(state: str) -> dict[str, Callable[[Order], None]]:
    return {state: lambda order: _cancelling(cancel(order))}


def _cancelling(cancellation: CancellationState) -> None:
    assert cancellation.outcome is CancellationOutcome.CANCELLING


@pytest.mark.parametrize("state", FORWARD)
def test_an_order_is_turned_back_at_its_next_step(pipeline: Pipeline, state: str) -> None:
    order = pipeline.order()

    execution = order.run(meanwhile=cancelled_before(state))

    assert execution.visited == [*FORWARD[: FORWARD.index(state) + 1], *CHAIN]
    assert order.ending() == BETWEEN[state]


@pytest.mark.parametrize("state", DURING)
def test_an_order_is_turned_back_after_the_step_that_is_under_way(
    pipeline: Pipeline, process: Callable[[], Database], monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    # The gateway's own commits are none of ours.
    Pipeline(pipeline.database, SimulatedGateway(process(), BEHAVIOUR)).deploy(monkeypatch)
    order, customer = pipeline.order(), process()
    order.run_until(state)
    cancellations: list[CancellationState] = []

    def before_commit(connection: Connection) -> None:
        cancellations.append(cancel(order, customer))

    event.listen(pipeline.database.engine, "commit", before_commit)
    order.call(state)
    event.remove(pipeline.database.engine, "commit", before_commit)

    assert order.journal()[state] == "SUCCEEDED"
    _cancelling(*cancellations)
    order.run()
    assert order.ending() == DURING[state]


def test_what_is_captured_while_the_customer_cancels_is_given_back(
    pipeline: Pipeline, process: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    order, customer = pipeline.order(), process()

    class CancelledMeanwhile(SimulatedGateway):
        def capture(self, key: str, charge: Charge) -> GatewayPayment:
            captured = super().capture(key, charge)
            _cancelling(cancel(order, customer))
            return captured

    Pipeline(pipeline.database, CancelledMeanwhile(pipeline.database, BEHAVIOUR)).deploy(monkeypatch)

    order.run()

    assert order.ending() == GIVEN_BACK


def test_an_order_that_waits_for_the_gateway_is_not_charged_any_more(pipeline: Pipeline) -> None:
    """The attempts before it came to nothing; the next one is refused before it asks the gateway."""
    order = pipeline.order(payment_method="pm_card_down")
    execution = pipeline.machine.start(order.input)
    while execution.attempts["ProcessPayment"] == 0:
        execution.step()
    attempts = order.gateway_attempts()

    cancel(order)
    order.run()

    assert order.gateway_attempts() == attempts
    assert order.ending() == RELEASED


def test_who_is_expected_to_authenticate_their_payment_need_not_any_more(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_requires_action")
    execution = order.run()
    assert execution.is_waiting

    cancel(order)
    while execution.step():
        pass

    assert TIMED_OUT not in execution.errors
    assert order.ending() == RELEASED


def test_a_repeated_request_wakes_an_order_that_the_first_one_did_not(pipeline: Pipeline) -> None:
    """It was committed, and its process died."""
    order = pipeline.order("pm_card_requires_action")
    execution = order.run()
    cancel_order(pipeline.database, lambda token: None, request(order.order_id))

    cancel(order)
    execution.step()

    assert TIMED_OUT not in execution.errors


def test_a_wake_up_that_is_lost_costs_time_and_nothing_else(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_requires_action")
    execution = order.run()

    def away(token: str) -> None:
        raise ServiceUnavailable("Step Functions did not answer")

    cancelled = cancel_order(pipeline.database, away, request(order.order_id))

    assert cancelled.outcome is CancellationOutcome.CANCELLING
    while execution.step():
        pass
    assert TIMED_OUT in execution.errors
    assert order.ending() == RELEASED


def test_a_charge_whose_end_nobody_knows_is_given_back(pipeline: Pipeline) -> None:
    order = pipeline.order(payment_method="pm_card_timeout")
    order.run_until("ProcessPayment")
    with pytest.raises(Exception, match="did not answer"):
        order.call("ProcessPayment")

    cancel(order)
    order.run()

    assert order.ending() == GIVEN_BACK


@pytest.mark.parametrize("state", ["ReleaseReservation", "SendCancellation", "MarkCancelled"])
def test_an_order_on_its_way_back_keeps_the_reason_that_it_has(pipeline: Pipeline, state: str) -> None:
    order = pipeline.order(payment_method="pm_card_declined")

    order.run(meanwhile=cancelled_before(state))

    assert order.ending() == replace(
        RELEASED, reason="PAYMENT_DECLINED", payment="DECLINED", told=["payment_failed"]
    )


def test_a_cancellation_between_a_decline_and_its_first_compensation_is_the_reason(
    pipeline: Pipeline,
) -> None:
    order = pipeline.order(payment_method="pm_card_declined")

    order.run(meanwhile=cancelled_before("RefundPayment"))

    assert order.ending() == replace(RELEASED, payment="DECLINED")


@pytest.mark.parametrize("state", CHAIN)
def test_a_repeated_request_changes_nothing_on_the_way_back(pipeline: Pipeline, state: str) -> None:
    order = pipeline.order()
    order.run_until("CompleteOrder")
    first = cancel(order)

    order.run(meanwhile=cancelled_before(state))

    assert order.ending() == SALE_UNDONE
    again = cancel(order)
    assert (again.outcome, again.requested_at) == (first.outcome, first.requested_at)
    assert again.status is OrderStatus.CANCELLED
    assert len(cancellations_of(order)) == 1


def test_a_step_that_fails_after_the_cancellation_does_not_change_the_reason(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run_until("ConfirmReservation")
    cancel(order)

    order.run(Fault("ConfirmReservation", When.BEFORE))

    assert order.ending() == GIVEN_BACK


def test_a_confirmed_order_is_refunded_in_full_and_its_stock_put_back(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()

    cancellation = cancel(order)

    (refund,) = refunds_of(order)
    assert refund == {
        "id": cancellation.refund_id,
        "origin": "CUSTOMER",
        "requested_by": ALICE,
        "reason": "Cancelled by the customer",
        "amount": TOTAL,
        "restock": True,
    }
    assert (cancellation.status, cancellation.outcome) == ("CONFIRMED", CancellationOutcome.REFUNDING)
    assert order.ending() == CONFIRMED
    assert cancel(order) == cancellation
    assert len(refunds_of(order)) == 1


def pass_minutes(order: Order, minutes: int) -> None:
    order.pipeline.execute(
        "UPDATE orders SET updated_at = updated_at - make_interval(mins => :minutes) WHERE id = :order_id",
        minutes=minutes,
        order_id=order.order_id,
    )


def test_it_is_in_time_until_the_window_is_over(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    pass_minutes(order, WINDOW_MINUTES - 1)

    assert cancel(order).outcome is CancellationOutcome.REFUNDING


def test_a_customer_who_comes_too_late_is_told_until_when_it_was_possible(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    pass_minutes(order, WINDOW_MINUTES)

    with pytest.raises(CancellationClosed) as refused:
        cancel(order)

    (row,) = pipeline.rows(
        "SELECT updated_at + interval '30 minutes' AS end FROM orders WHERE id = :id", id=order.order_id
    )
    assert refused.value.members == {"possible_until": row["end"]}
    assert not refunds_of(order)
    assert not cancellations_of(order)


def test_who_was_in_time_may_ask_again_later(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    first = cancel(order)
    pass_minutes(order, 2 * WINDOW_MINUTES)

    again = cancel(order)

    assert (again.refund_id, again.requested_at) == (first.refund_id, first.requested_at)


def test_an_order_that_is_refunded_already_is_not_refunded_again(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    cancel(order)
    pipeline.execute("DELETE FROM order_cancellations WHERE order_id = :id", id=order.order_id)

    with pytest.raises(OrderAlreadyRefunded):
        cancel(order)

    assert len(refunds_of(order)) == 1
    assert not cancellations_of(order)


def test_an_order_that_was_cancelled_for_another_reason_is_not_cancelled_again(pipeline: Pipeline) -> None:
    order = pipeline.order(payment_method="pm_card_fraud")
    order.run()

    # As its customer may read it: nothing of fraud.
    with pytest.raises(OrderAlreadyCancelled, match="PAYMENT_DECLINED"):
        cancel(order)

    assert not cancellations_of(order)


def test_an_order_under_review_is_left_to_the_operator(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run(
        Fault("CompleteOrder", When.BEFORE), Fault("RefundPayment", When.BEFORE, error="DatabaseUnavailable")
    )
    assert order.ending().status == "NEEDS_REVIEW"

    with pytest.raises(OrderInReview):
        cancel(order)

    assert not cancellations_of(order)


def test_a_cancellation_that_an_operator_has_overruled_may_be_asked_for_again(pipeline: Pipeline) -> None:
    """It could not be undone, and was confirmed by hand: now it is the customer's turn again."""
    order = pipeline.order()
    order.run_until("CompleteOrder")
    cancel(order)
    # As after a review that is closed as CONFIRMED.
    pipeline.execute(
        "UPDATE saga_steps SET status = 'SUCCEEDED', error = NULL WHERE order_id = :id AND step = 'CompleteOrder'",
        id=order.order_id,
    )
    pipeline.execute(
        "UPDATE orders SET status = 'CONFIRMED', updated_at = now() WHERE id = :id", id=order.order_id
    )

    cancellation = cancel(order)

    assert cancellation.outcome is CancellationOutcome.REFUNDING
    (row,) = cancellations_of(order)
    assert (row["refund_id"], row["created_at"]) == (cancellation.refund_id, cancellation.requested_at)


def test_nobody_cancels_another_users_order(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with pytest.raises(OrderNotFound):
        cancel(order, user_id=BOB)

    order.run()
    assert order.ending() == CONFIRMED


def test_an_administrator_cancels_any_order_in_their_own_name_and_may_say_why(pipeline: Pipeline) -> None:
    order = pipeline.order()

    for _ in range(2):
        cancel(order, user_id=BOB, is_administrator=True, note="asked on the telephone")

    order.run()
    assert order.ending() == NEVER_CHARGED
    assert [row["requested_by"] for row in cancellations_of(order)] == [BOB]
    (action,) = operator_actions_of(order)
    assert (action["action"], action["operator"], action["note"], action["detail"]) == (
        "ORDER_CANCELLED",
        BOB,
        "asked on the telephone",
        "CANCELLING",
    )


def test_an_operators_refund_says_that_it_is_one(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()

    cancel(order, user_id=BOB, is_administrator=True)

    (refund,) = refunds_of(order)
    assert refund["reason"] == "Cancelled by an operator"
    assert [action["detail"] for action in operator_actions_of(order)] == ["REFUNDING"]


@pytest.mark.parametrize("is_administrator", [False, True])
def test_a_customer_is_no_operator_of_their_own_order(pipeline: Pipeline, is_administrator: bool) -> None:
    order = pipeline.order()

    cancel(order, is_administrator=is_administrator)

    assert operator_actions_of(order) == []


def test_the_refund_of_a_cancelled_order_gives_back_the_money_and_the_stock(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy_refunds(monkeypatch, pipeline.database, pipeline.gateway)
    order = pipeline.order()
    order.run()
    cancellation = cancel(order)
    assert cancellation.refund_id is not None

    run_refund(cancellation.refund_id)

    assert payment_of(order) == ("REFUNDED", TOTAL, TOTAL)
    ending = order.ending()
    assert (ending.status, ending.stock) == ("CONFIRMED", UNTOUCHED)
