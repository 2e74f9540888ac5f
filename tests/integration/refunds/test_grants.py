"""What is granted never exceeds what was captured and what was sold, whoever asks at once (promise I13)."""

from collections.abc import Callable
from functools import partial
from uuid import uuid4

import pytest

from orders.db import Database
from orders.errors import (
    InvalidRefund,
    OrderNotFound,
    OrderNotRefundable,
    RefundExceedsCapture,
    RefundExceedsSale,
)
from orders.ids import uuid7
from orders.problem import kind_of
from orders.refunds import Granted
from tests.integration.refunds.support import OPERATOR, REASON, grant, lines_of, refunds_of
from tests.integration.saga.pipeline import TOTAL, Order, Pipeline, at_once

Confirmed = Callable[[], Order]


def test_lines_are_worth_what_they_were_sold_for(confirmed: Confirmed) -> None:
    order = confirmed()
    first, second = order.product_ids
    order.pipeline.execute("UPDATE products SET unit_price = 99 WHERE id = :id", id=first)

    granted = grant(order, lines={first: 1, second: 1}, restock=True)

    assert granted.amount == 1250 + 4000
    (refund,) = refunds_of(order)
    assert (refund["id"], refund["amount"], refund["restock"]) == (granted.refund_id, granted.amount, True)
    assert (refund["status"], refund["origin"]) == ("REQUESTED", "OPERATOR")
    assert (refund["requested_by"], refund["reason"]) == (OPERATOR, REASON)
    assert lines_of(order, granted.refund_id) == {first: 1, second: 1}


def test_a_grant_is_an_event_with_ids_only(confirmed: Confirmed) -> None:
    order = confirmed()

    granted = grant(order, amount=100)

    (event,) = order.pipeline.rows(
        "SELECT data, status FROM outbox WHERE subject = :order_id AND type = 'com.orders.refund.requested.v1'",
        order_id=order.order_id,
    )
    assert event == {"data": {"refundId": str(granted.refund_id)}, "status": "PENDING"}


def test_without_amount_and_lines_all_that_is_left_is_granted(confirmed: Confirmed) -> None:
    order = confirmed()
    first, second = order.product_ids
    grant(order, lines={first: 1})
    grant(order, amount=1000)

    rest = grant(order, restock=True)

    assert rest.amount == TOTAL - 1250 - 1000
    assert lines_of(order, rest.refund_id) == {first: 1, second: 1}


def test_an_amount_alone_moves_no_stock(confirmed: Confirmed) -> None:
    order = confirmed()

    grant(order, amount=100, restock=True)

    assert [refund["restock"] for refund in refunds_of(order)] == [False]


@pytest.mark.parametrize("amount", [TOTAL + 1, 0])
def test_more_than_was_captured_and_nothing_are_refused(confirmed: Confirmed, amount: int) -> None:
    order = confirmed()

    with pytest.raises(RefundExceedsCapture, match=r"USD 65\.00 of the USD 65\.00"):
        grant(order, amount=amount)

    assert refunds_of(order) == []


def test_once_all_is_granted_nothing_is_left(confirmed: Confirmed) -> None:
    order = confirmed()
    grant(order)

    with pytest.raises(RefundExceedsCapture, match=r"USD 0\.00 of"):
        grant(order)


def test_a_unit_is_refunded_once(confirmed: Confirmed) -> None:
    order = confirmed()
    first, second = order.product_ids
    grant(order, lines={first: 1})

    with pytest.raises(RefundExceedsSale, match="1 of product"):
        grant(order, lines={first: 2, second: 1})


def test_units_whose_money_is_gone_are_not_worth_it_again(confirmed: Confirmed) -> None:
    order = confirmed()
    grant(order, amount=TOTAL - 1)

    with pytest.raises(RefundExceedsCapture):
        grant(order, lines={order.product_ids[0]: 1})


def test_a_product_that_was_not_ordered_is_named(confirmed: Confirmed) -> None:
    order = confirmed()

    with pytest.raises(InvalidRefund) as refused:
        grant(order, lines={order.product_ids[0]: 1, uuid4(): 1})

    assert [error.pointer for error in refused.value.errors] == ["#/lines/1/productId"]


def test_what_was_rejected_is_free_again(confirmed: Confirmed) -> None:
    order = confirmed()
    granted = grant(order)
    order.pipeline.execute("UPDATE refunds SET status = 'REJECTED' WHERE id = :id", id=granted.refund_id)

    assert grant(order).amount == TOTAL


@pytest.mark.parametrize(("status", "left"), [("OPEN", TOTAL - 2000), ("LOST", TOTAL - 2000), ("WON", TOTAL)])
def test_disputed_money_is_not_granted(confirmed: Confirmed, status: str, left: int) -> None:
    order = confirmed()
    order.pipeline.execute(
        "INSERT INTO payment_disputes (provider_dispute_id, order_id, amount, currency, reason, status) "
        "VALUES (:id, :order_id, 2000, 'USD', 'fraudulent', :status)",
        id=f"dp_{order.order_id}",
        order_id=order.order_id,
        status=status,
    )

    assert grant(order).amount == left


def test_only_a_confirmed_order_is_refunded(pipeline: Pipeline) -> None:
    order = pipeline.order()

    with pytest.raises(OrderNotRefundable, match="PENDING") as refused:
        grant(order)

    assert kind_of(refused.value).status == 409


def test_an_order_that_is_none_is_not_found(pipeline: Pipeline) -> None:
    with pytest.raises(OrderNotFound):
        grant(Order(pipeline, uuid7(), []))


def test_of_twenty_grants_of_half_the_amount_at_once_two_succeed(
    confirmed: Confirmed, process: Callable[[], Database]
) -> None:
    order = confirmed()
    calls = [partial(grant, order, amount=TOTAL // 2, database=process()) for _ in range(20)]

    outcomes = at_once(*calls)

    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 2
    refused = [outcome for outcome in outcomes if isinstance(outcome, RefundExceedsCapture)]
    assert len(refused) == 18
    assert {kind_of(error).status for error in refused} == {409}
    assert sum(refund["amount"] for refund in refunds_of(order)) == TOTAL


def test_of_many_who_return_the_same_unit_one_succeeds(
    confirmed: Confirmed, process: Callable[[], Database]
) -> None:
    order = confirmed()
    unit = {order.product_ids[1]: 1}
    calls = [partial(grant, order, lines=unit, restock=True, database=process()) for _ in range(8)]

    outcomes = at_once(*calls)

    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RefundExceedsSale) for outcome in outcomes) == 7
