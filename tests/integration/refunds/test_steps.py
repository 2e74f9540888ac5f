"""A refund is carried out once, however often its steps are called, and wherever they die."""

from collections.abc import Callable
from functools import partial

import pytest

from functions.refund_steps import handler, steps
from orders import refunds
from orders.db import Database
from orders.errors import OrderIncomplete, PaymentGatewayTimeout, PaymentGatewayUnavailable, RefundClosed
from orders.ids import uuid7
from orders.payments.gateway import GatewayPayment, RefundRefused
from payment_simulator.gateway import SimulatedGateway
from tests.integration.refunds.support import (
    STEPS,
    call,
    events_of,
    grant,
    payment_of,
    refunds_of,
    returned_of,
    run,
)
from tests.integration.saga.pipeline import SOLD, TOTAL, Order, at_once
from tests.support.asl import Fault, When
from tests.support.factories import ALICE, TRACE, TRACE_ID
from tests.support.payments import BEHAVIOUR
from tests.support.written import recorded

Confirmed = Callable[[], Order]

REFUNDED = "com.orders.payment.refunded.v1"
TOLD = "com.orders.notification.requested.v1"
ANNOUNCED = "com.orders.order.refunded.v1"


def told_of_refunds(order: Order) -> list[tuple[str, str]]:
    """The refunds that the customer is to be told of, and the channels."""
    return sorted(
        (event["refundId"], event["channel"])
        for event in events_of(order, TOLD)
        if event["notification"] == "order_refunded"
    )


def listen(order: Order) -> None:
    """The order's owner has an endpoint."""
    order.pipeline.execute(
        "INSERT INTO webhook_endpoints (id, user_id, slot, url) VALUES (:id, :user_id, 1, 'https://a.example/') "
        "ON CONFLICT DO NOTHING",
        id=uuid7(),
        user_id=ALICE,
    )


def test_every_step_s_log_line_carries_the_refund_s_trace(confirmed: Confirmed) -> None:
    order = confirmed()

    with recorded() as written:
        run(grant(order, amount=100).refund_id)

    assert {line["step"]: line["trace_id"] for line in written.logs("Step done")} == dict.fromkeys(
        STEPS, TRACE_ID
    )


def test_a_completed_refund_is_counted_once(confirmed: Confirmed, capsys: pytest.CaptureFixture[str]) -> None:
    order = confirmed()
    refund_id = grant(order, amount=100).refund_id

    run(refund_id)
    call("SendRefundNotice", refund_id)

    assert capsys.readouterr().out.count('"RefundsCompleted":[1.0]') == 1


def test_a_part_is_given_back_and_its_unit_is_free_again(confirmed: Confirmed) -> None:
    order = confirmed()
    listen(order)
    first = order.product_ids[0]
    refund_id = grant(order, lines={first: 1}, restock=True).refund_id

    execution = run(refund_id)

    assert execution.visited == STEPS
    assert payment_of(order) == ("CAPTURED", TOTAL, 1250)
    ending = order.ending()
    assert ending.status == "CONFIRMED"
    assert ending.ledger == [("CAPTURE", TOTAL), ("REFUND", 1250)]
    assert ending.stock == [(9, 0, 1), SOLD[1]]
    assert returned_of(order.pipeline, refund_id) == {first: 1}
    (refund,) = refunds_of(order)
    assert refund["status"] == "COMPLETED"
    assert refund["refunded_at"] is not None
    assert refund["restocked_at"] is not None
    assert events_of(order, REFUNDED) == [{"amount": 1250, "currency": "USD"}]
    assert told_of_refunds(order) == [(str(refund_id), "email"), (str(refund_id), "sms")]
    (announced,) = events_of(order, ANNOUNCED)
    assert (announced["refundId"], announced["amount"]) == (str(refund_id), 1250)
    assert (announced["refundedAmount"], announced["totalAmount"]) == (1250, TOTAL)


def test_what_is_not_to_be_restocked_stays_sold(confirmed: Confirmed) -> None:
    order = confirmed()

    run(grant(order, lines={order.product_ids[0]: 2}).refund_id)

    assert order.ending().stock == SOLD
    assert payment_of(order) == ("CAPTURED", TOTAL, 2500)


def test_everything_is_given_back_by_the_same_way(confirmed: Confirmed) -> None:
    order = confirmed()

    run(grant(order, restock=True).refund_id)

    assert payment_of(order) == ("REFUNDED", TOTAL, TOTAL)
    assert order.ending().stock == [(10, 0, 0), (10, 0, 0)]
    assert order.ending().status == "CONFIRMED"


def test_several_refunds_each_tell_the_customer(confirmed: Confirmed) -> None:
    order = confirmed()
    ids = [grant(order, amount=amount).refund_id for amount in (100, 200, 300)]

    for refund_id in ids:
        run(refund_id)

    assert payment_of(order) == ("CAPTURED", TOTAL, 600)
    assert {refund_id for refund_id, _ in told_of_refunds(order)} == {str(refund_id) for refund_id in ids}


@pytest.mark.parametrize("when", list(When))
@pytest.mark.parametrize("step", STEPS)
def test_wherever_a_step_dies_each_effect_happens_once(confirmed: Confirmed, step: str, when: When) -> None:
    order = confirmed()
    refund_id = grant(order, lines={order.product_ids[0]: 1}, restock=True).refund_id

    run(refund_id, Fault(step, when, times=2))

    assert payment_of(order) == ("CAPTURED", TOTAL, 1250)
    assert order.ending().ledger == [("CAPTURE", TOTAL), ("REFUND", 1250)]
    assert order.ending().stock == [(9, 0, 1), SOLD[1]]
    assert len(events_of(order, REFUNDED)) == 1
    assert len(told_of_refunds(order)) == 2
    assert [refund["status"] for refund in refunds_of(order)] == ["COMPLETED"]


def test_two_executions_at_once_refund_once(confirmed: Confirmed, process: Callable[[], Database]) -> None:
    order = confirmed()
    refund_id = grant(order, lines={order.product_ids[0]: 1}, restock=True).refund_id
    databases = [process() for _ in range(6)]

    for work in (
        lambda database: steps.refund_payment(
            database, SimulatedGateway(database, BEHAVIOUR), refund_id, TRACE
        ),
        lambda database: steps.restock(database, refund_id),
        lambda database: steps.complete(database, refund_id, TRACE),
    ):
        outcomes = at_once(*(partial(work, database) for database in databases))
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]

    assert payment_of(order) == ("CAPTURED", TOTAL, 1250)
    assert order.ending().ledger == [("CAPTURE", TOTAL), ("REFUND", 1250)]
    assert order.ending().stock == [(9, 0, 1), SOLD[1]]
    assert len(told_of_refunds(order)) == 2


class Unreliable(SimulatedGateway):
    """Gives the money back, and does not say so, so many times."""

    silent = 0

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        payment = super().refund_part(key, refund_key, amount)
        self.silent -= 1
        if self.silent >= 0:
            raise PaymentGatewayTimeout("no answer")
        return payment


def test_an_unknown_outcome_is_asked_for_again_under_the_same_key(
    confirmed: Confirmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = confirmed()
    gateway = Unreliable(order.pipeline.database, BEHAVIOUR)
    gateway.silent = 2
    monkeypatch.setattr(handler, "gateway", gateway)

    execution = run(grant(order, amount=500).refund_id)

    assert execution.visited == STEPS
    assert order.ending().ledger == [("CAPTURE", TOTAL), ("REFUND", 500)]
    assert payment_of(order) == ("CAPTURED", TOTAL, 500)


class Refusing(SimulatedGateway):
    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        raise RefundRefused("the card was closed")


def test_what_the_provider_refuses_needs_an_operator(
    confirmed: Confirmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = confirmed()
    monkeypatch.setattr(handler, "gateway", Refusing(order.pipeline.database, BEHAVIOUR))

    execution = run(grant(order, lines={order.product_ids[0]: 1}, restock=True).refund_id)

    assert execution.visited == ["BeginRefund", "RefundPayment", "MarkForReview"]
    (refund,) = refunds_of(order)
    assert (refund["status"], refund["error"]) == ("NEEDS_REVIEW", "RefundRefused: the card was closed")
    assert payment_of(order) == ("CAPTURED", TOTAL, 0)
    assert order.ending().stock == SOLD
    assert told_of_refunds(order) == []


class Down(SimulatedGateway):
    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        raise PaymentGatewayUnavailable("down")


def test_a_provider_that_stays_down_needs_an_operator(
    confirmed: Confirmed, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = confirmed()
    monkeypatch.setattr(handler, "gateway", Down(order.pipeline.database, BEHAVIOUR))

    with recorded() as written:
        run(grant(order, amount=100).refund_id)

    (refund,) = refunds_of(order)
    assert (refund["status"], refund["error"]) == ("NEEDS_REVIEW", "PaymentGatewayUnavailable")
    assert written.metrics["RefundsNeedingReview"] == 1


@pytest.mark.parametrize("status", ["NEEDS_REVIEW", "REJECTED"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_comes_late_does_nothing(confirmed: Confirmed, step: str, status: str) -> None:
    order = confirmed()
    refund_id = grant(order, lines={order.product_ids[0]: 1}, restock=True).refund_id
    order.pipeline.execute("UPDATE refunds SET status = :status WHERE id = :id", id=refund_id, status=status)

    with pytest.raises(RefundClosed):
        call(step, refund_id)

    assert order.ending().ledger == [("CAPTURE", TOTAL)]
    assert order.ending().stock == SOLD
    assert run(refund_id).visited == ["BeginRefund", "AlreadyClosed"]


def test_an_execution_of_no_refund_ends_at_once(confirmed: Confirmed) -> None:
    confirmed()

    assert run(uuid7()).visited == ["BeginRefund", "AlreadyClosed"]


def test_nothing_is_said_before_money_and_stock_are_back(confirmed: Confirmed) -> None:
    order = confirmed()
    refund_id = grant(order, lines={order.product_ids[0]: 1}, restock=True).refund_id

    for before in ("RestockItems", "RefundPayment"):
        with pytest.raises(OrderIncomplete, match="not back"):
            call("SendRefundNotice", refund_id)
        call(before, refund_id)

    assert told_of_refunds(order) == []


def test_a_completed_refund_is_never_marked_for_review(confirmed: Confirmed) -> None:
    order = confirmed()
    refund_id = grant(order, amount=100).refund_id
    run(refund_id)

    call("MarkForReview", refund_id)

    assert [refund["status"] for refund in refunds_of(order)] == ["COMPLETED"]


def test_money_that_moved_after_all_is_recorded_and_shown(confirmed: Confirmed) -> None:
    order = confirmed()
    refund_id = grant(order, amount=100).refund_id
    order.pipeline.gateway.refund_part(f"order-{order.order_id}", f"refund-{refund_id}", 100)
    order.pipeline.execute("UPDATE refunds SET status = 'REJECTED' WHERE id = :id", id=refund_id)

    order.pipeline.database.transact(lambda connection: refunds.record_refunded(connection, refund_id, TRACE))

    assert [refund["status"] for refund in refunds_of(order)] == ["NEEDS_REVIEW"]
    assert payment_of(order) == ("CAPTURED", TOTAL, 100)


def test_nobody_is_told_whose_contact_data_is_erased(confirmed: Confirmed) -> None:
    order = confirmed()
    refund_id = grant(order, amount=100).refund_id
    order.pipeline.execute(
        "UPDATE orders SET contact_email = NULL, contact_phone = NULL WHERE id = :id", id=order.order_id
    )

    run(refund_id)

    assert told_of_refunds(order) == []
    assert [refund["status"] for refund in refunds_of(order)] == ["COMPLETED"]
