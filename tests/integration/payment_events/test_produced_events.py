"""The events that the saga writes for its reconciliation and for the watch on stock."""

import pytest

from orders.events import CATALOGUE, Queue
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import TOTAL, Order, Pipeline
from tests.support.asl import Fault, When

CAPTURED = ("com.orders.payment.captured.v1", {"amount": TOTAL, "currency": "USD"})
REFUNDED = ("com.orders.payment.refunded.v1", {"amount": TOTAL, "currency": "USD"})
RESERVED = ("com.orders.inventory.reserved.v1", {"ttlSeconds": 900})


def events(order: Order) -> list[tuple[str, dict[str, object]]]:
    """Those for the two queues, in order."""
    ours = {Queue.PAYMENT_PROCESSING, Queue.INVENTORY_MANAGEMENT}
    found = order.pipeline.rows(
        "SELECT type, data FROM outbox WHERE subject = :order_id ORDER BY id", order_id=order.order_id
    )
    return [(row["type"], row["data"]) for row in found if CATALOGUE[row["type"]].queue in ours]


def test_a_confirmed_order_was_reserved_and_captured(pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order()
    order.run()
    assert events(order) == [RESERVED, CAPTURED]


def test_a_paid_order_that_fails_was_refunded(pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order()
    order.run(Fault("CompleteOrder", When.BEFORE))
    assert events(order) == [RESERVED, CAPTURED, REFUNDED]


def test_an_order_that_was_never_charged_is_not_said_to_be_refunded(pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order("pm_card_down")
    order.run()
    assert events(order) == [RESERVED]


@pytest.mark.parametrize("step", ["ReserveInventory", "ProcessPayment"])
def test_a_repeated_step_says_it_once(pipeline: Pipeline, step: str) -> None:  # noqa: F811
    order = pipeline.order()
    order.run(Fault(step, When.AFTER, times=2))
    assert events(order) == [RESERVED, CAPTURED]


def test_a_repeated_refund_says_it_once(pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order()
    order.run(Fault("CompleteOrder", When.BEFORE), Fault("RefundPayment", When.AFTER, times=2))
    assert events(order) == [RESERVED, CAPTURED, REFUNDED]
