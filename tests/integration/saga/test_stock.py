"""Stock: all lines or none, never more than there is, and a business failure that stays what it was."""

import pytest

from functions.saga_steps import stock
from orders.errors import InsufficientStock, ReservationExpired
from tests.integration.saga.pipeline import (
    HELD,
    RESERVATION_TTL_SECONDS,
    SOLD,
    UNTOUCHED,
    Pipeline,
    expire_a_reservation,
    sell_out,
)
from tests.support.factories import TRACE, add_product


def test_every_line_is_reserved_for_the_ttl(pipeline: Pipeline) -> None:
    order = pipeline.order()

    order.call("ReserveInventory")

    assert order.ending().stock == HELD
    assert order.ending().reservations == ["ACTIVE", "ACTIVE"]
    assert order.movements() == ["RESERVED", "RESERVED"]
    (row,) = pipeline.rows(
        "SELECT DISTINCT extract(epoch FROM expires_at - created_at) AS ttl FROM reservations "
        "WHERE order_id = :order_id",
        order_id=order.order_id,
    )
    assert row["ttl"] == RESERVATION_TTL_SECONDS


def test_confirmed_reservations_leave_the_stock(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.call("ReserveInventory")

    order.call("ConfirmReservation")

    assert order.ending().stock == SOLD


def test_a_line_that_cannot_be_had_takes_no_other_with_it(pipeline: Pipeline) -> None:
    order = pipeline.order()
    sell_out(order)

    with pytest.raises(InsufficientStock) as caught:
        order.call("ReserveInventory")

    assert str(order.product_ids[1]) in str(caught.value)
    assert str(order.product_ids[0]) not in str(caught.value)
    assert order.ending().stock[0] == UNTOUCHED[0]
    assert order.ending().reservations == []
    assert order.movements() == []


def test_the_last_unit_can_be_had(pipeline: Pipeline) -> None:
    order = pipeline.order_of([(add_product(pipeline.database, available=3), 3)])

    order.run()

    assert order.ending().status == "CONFIRMED"
    assert order.ending().stock == [(0, 0, 3)]


@pytest.mark.parametrize("step", ["VerifyStock", "ReserveInventory"])
def test_a_repeated_step_fails_as_it_failed_before_although_there_is_stock_again(
    pipeline: Pipeline, step: str
) -> None:
    order = pipeline.order()
    sell_out(order)
    with pytest.raises(InsufficientStock):
        order.call(step)
    pipeline.execute(
        "UPDATE stock SET available = sold, sold = 0 WHERE product_id = :product_id",
        product_id=order.product_ids[1],
    )

    with pytest.raises(InsufficientStock):
        order.call(step)

    assert order.ending().stock == UNTOUCHED


def test_an_expired_reservation_stays_expired(pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.call("ReserveInventory")
    expire_a_reservation(order)

    for _ in range(2):
        with pytest.raises(ReservationExpired):
            order.call("ConfirmReservation")

    assert sorted(order.ending().reservations) == ["ACTIVE", "EXPIRED"]
    order.call("ReleaseReservation")
    assert order.ending().stock == UNTOUCHED


def test_a_reservation_past_its_ttl_can_be_confirmed_until_somebody_takes_it_back(pipeline: Pipeline) -> None:
    order = pipeline.order()
    stock.reserve(pipeline.database, order.order_id, 1, TRACE)
    pipeline.execute(
        "UPDATE reservations SET expires_at = now() - interval '1 second' WHERE order_id = :id",
        id=order.order_id,
    )

    order.call("ConfirmReservation")

    assert order.ending().stock == SOLD


def test_what_was_sold_is_restored_and_what_was_held_is_released_and_neither_twice(
    pipeline: Pipeline,
) -> None:
    sold, held = pipeline.order(), pipeline.order()
    for order in (sold, held):
        order.call("ReserveInventory")
    sold.call("ConfirmReservation")

    for order in (sold, held):
        for compensation in ("RestoreInventory", "ReleaseReservation") * 2:
            order.call(compensation)

    assert sold.ending().reservations == ["RESTORED", "RESTORED"]
    assert held.ending().reservations == ["RELEASED", "RELEASED"]
    assert sold.ending().stock == held.ending().stock == UNTOUCHED
