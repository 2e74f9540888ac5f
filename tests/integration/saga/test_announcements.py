"""An order's end is announced in the very transaction that ends it, once: to users who listen, and to the customer of
a confirmed order."""

import contextlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from orders import notifications
from orders.domain import Notification
from orders.errors import SagaConflict
from orders.events import CATALOGUE
from tests.integration.saga.pipeline import CHAIN, Order, Pipeline
from tests.support.asl import Fault, When
from tests.support.factories import ALICE, BOB, TRACE, execute
from tests.support.webhooks import add_endpoint


@pytest.fixture
def listening(pipeline: Pipeline) -> UUID:
    """The orders' owner has a webhook."""
    execute(pipeline.database, "DELETE FROM webhook_endpoints")
    endpoint: UUID = add_endpoint(pipeline.database)
    return endpoint


@pytest.fixture
def order(pipeline: Pipeline, listening: UUID) -> Order:
    return pipeline.order()


def announcements(order: Order) -> list[dict[str, Any]]:
    return order.pipeline.rows(
        "SELECT type, data, correlation_id, traceparent FROM outbox WHERE subject = :order_id "
        "AND type LIKE 'com.orders.order.%' AND type <> 'com.orders.order.created.v1'",
        order_id=order.order_id,
    )


def cancelled(order: Order) -> None:
    order.run(Fault("CompleteOrder", When.BEFORE))


def unresolved(order: Order) -> None:
    order.run_until("CompleteOrder")
    for compensation in CHAIN[2:-1]:
        order.call(compensation)
    order.call("MarkCancelled", RefundPayment="States.Timeout")


@pytest.mark.parametrize(
    ("end", "event_type", "reason"),
    [
        (Order.run, "com.orders.order.confirmed.v1", None),
        (cancelled, "com.orders.order.cancelled.v1", "PROCESSING_FAILED"),
        (unresolved, "com.orders.order.review_required.v1", "PROCESSING_FAILED"),
    ],
    ids=["confirmed", "cancelled", "needs review"],
)
def test_every_end_is_announced_once(
    order: Order, end: Callable[[Order], object], event_type: str, reason: str | None
) -> None:
    end(order)

    (announced,) = announcements(order)
    assert announced["type"] == event_type
    assert (announced["correlation_id"], announced["traceparent"]) == (
        TRACE.correlation_id,
        TRACE.traceparent,
    )
    data = CATALOGUE[event_type].model_validate(announced["data"]).model_dump()
    (row,) = order.pipeline.rows(
        "SELECT created_at FROM orders WHERE id = :order_id", order_id=order.order_id
    )
    assert data == {
        "failure_reason": reason,
        "total_amount": 6500,
        "currency": "USD",
        "created_at": row["created_at"],
    }

    for step in ("CompleteOrder", "MarkCancelled"):
        with contextlib.suppress(SagaConflict):
            order.call(step)
    assert len(announcements(order)) == 1


def nobody(pipeline: Pipeline) -> None:
    execute(pipeline.database, "DELETE FROM webhook_endpoints")


def somebody_else(pipeline: Pipeline) -> None:
    execute(pipeline.database, "UPDATE webhook_endpoints SET user_id = :bob", bob=BOB)


def nobody_any_more(pipeline: Pipeline) -> None:
    execute(
        pipeline.database,
        "UPDATE webhook_endpoints SET status = 'DISABLED' WHERE user_id = :alice",
        alice=ALICE,
    )


@pytest.mark.parametrize("listens", [nobody, somebody_else, nobody_any_more])
@pytest.mark.parametrize("end", [Order.run, cancelled])
def test_where_nobody_listens_nothing_is_written(
    order: Order, listens: Callable[[Pipeline], None], end: Callable[[Order], object]
) -> None:
    listens(order.pipeline)

    end(order)

    assert announcements(order) == []


def test_an_end_that_is_rolled_back_is_not_announced(order: Order) -> None:
    order.run_until("CompleteOrder")
    order.pipeline.execute(
        "UPDATE payments SET refunded = 1 WHERE order_id = :order_id", order_id=order.order_id
    )

    with pytest.raises(Exception, match="not paid in full"):
        order.call("CompleteOrder")

    assert announcements(order) == []
    order.pipeline.execute("UPDATE payments SET refunded = 0 WHERE order_id = :id", id=order.order_id)


def test_the_confirmation_is_asked_for_in_the_statement_that_confirms_the_order(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run_until("CompleteOrder")
    assert order.ending().told == []

    order.call("CompleteOrder")

    assert order.ending().told == ["order_confirmed"]
    assert order.pipeline.rows(
        "SELECT DISTINCT orders.updated_at = notifications.created_at AS at_once "
        "FROM orders JOIN notifications ON order_id = orders.id WHERE orders.id = :id",
        id=order.order_id,
    ) == [{"at_once": True}]


def test_an_order_that_is_not_confirmed_asks_for_no_confirmation(pipeline: Pipeline) -> None:
    cancelled_order, unresolved_order = pipeline.order(), pipeline.order()

    cancelled(cancelled_order)
    unresolved(unresolved_order)

    assert cancelled_order.ending().told == unresolved_order.ending().told == ["order_cancelled"]


def test_a_confirmation_that_was_asked_for_before_is_not_asked_for_again(pipeline: Pipeline) -> None:
    """The code before this one asked a step earlier."""
    order = pipeline.order()
    order.run_until("CompleteOrder")
    pipeline.database.transact(
        lambda connection: notifications.request(
            connection, order.order_id, Notification.ORDER_CONFIRMED, TRACE
        )
    )

    order.call("CompleteOrder")

    asked = pipeline.rows(
        "SELECT data FROM outbox WHERE subject = :id AND type LIKE '%notification%'", id=order.order_id
    )
    assert len(asked) == 2


def test_a_customer_without_a_telephone_is_told_by_mail_alone(pipeline: Pipeline) -> None:
    order = pipeline.order()
    pipeline.execute("UPDATE orders SET contact_phone = NULL WHERE id = :id", id=order.order_id)

    order.run()

    told = pipeline.rows("SELECT channel FROM notifications WHERE order_id = :id", id=order.order_id)
    assert told == [{"channel": "email"}]
