"""The order's status: only legal transitions (I7), and CONFIRMED only when everything is there (I3, trap T14)."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from orders.domain import LEGAL_TRANSITIONS, OrderStatus
from orders.errors import OrderIncomplete
from tests.integration.saga.pipeline import CHAIN, CONFIRMED, FORWARD, Order, Pipeline
from tests.support.asl import Fault, When

PAIRS = [(before, after) for before in OrderStatus for after in OrderStatus if before is not after]


def force(order: Order, status: OrderStatus) -> None:
    """Puts the order into a status behind the trigger's back."""
    with order.pipeline.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("UPDATE orders SET status = :status WHERE id = :order_id"),
            {"status": status, "order_id": order.order_id},
        )


def move(order: Order, status: OrderStatus, operator: str | None) -> bool:
    """Tries a transition; whether the database allowed it."""
    try:
        with order.pipeline.database.engine.begin() as connection:
            if operator is not None:
                connection.execute(
                    text("SELECT set_config('orders.operator', :name, true)"), {"name": operator}
                )
            connection.execute(
                text("UPDATE orders SET status = :status WHERE id = :order_id"),
                {"status": status, "order_id": order.order_id},
            )
    except IntegrityError as error:
        if "illegal transition" not in str(error):
            raise
        return False
    return True


@pytest.fixture
def order(pipeline: Pipeline) -> Order:
    return pipeline.order()


@pytest.fixture(autouse=True)
def leave_no_forced_status_behind(order: Order) -> object:
    """The promises are checked over all orders when a test is over, and a forced status breaks some of them."""
    yield
    with order.pipeline.database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("UPDATE orders SET status = 'NEEDS_REVIEW' WHERE id = :id"), {"id": order.order_id}
        )


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_database_allows_an_operator_exactly_the_domain_s_transitions(
    order: Order, before: OrderStatus, after: OrderStatus
) -> None:
    force(order, before)

    assert move(order, after, operator="maria") == (after in LEGAL_TRANSITIONS[before])


@pytest.mark.parametrize("operator", [None, ""])
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_database_allows_everybody_else_the_same_but_for_what_is_under_review(
    order: Order, before: OrderStatus, after: OrderStatus, operator: str | None
) -> None:
    force(order, before)

    allowed = before is not OrderStatus.NEEDS_REVIEW and after in LEGAL_TRANSITIONS[before]
    assert move(order, after, operator) == allowed


@pytest.mark.parametrize("status", OrderStatus)
def test_a_change_that_leaves_the_status_is_no_transition(order: Order, status: OrderStatus) -> None:
    force(order, status)

    assert move(order, status, operator=None)


def lose_the_payment(order: Order) -> None:
    order.pipeline.execute("DELETE FROM payments WHERE order_id = :order_id", order_id=order.order_id)


def refund_in_part(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE payments SET refunded = 1 WHERE order_id = :order_id", order_id=order.order_id
    )


def lose_a_reservation(order: Order) -> None:
    order.pipeline.execute(
        "DELETE FROM reservations WHERE order_id = :order_id AND product_id = :product_id",
        order_id=order.order_id,
        product_id=order.product_ids[0],
    )


def restore_a_line(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE reservations SET status = 'RESTORED' WHERE order_id = :order_id AND product_id = :product_id",
        order_id=order.order_id,
        product_id=order.product_ids[1],
    )


def put_under_review(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE orders SET status = 'NEEDS_REVIEW' WHERE id = :order_id", order_id=order.order_id
    )


MISHAPS = [lose_the_payment, refund_in_part, lose_a_reservation, restore_a_line, put_under_review]


@pytest.mark.parametrize("mishap", MISHAPS)
def test_an_order_that_lacks_money_or_stock_is_never_confirmed(
    order: Order, mishap: Callable[[Order], None]
) -> None:
    order.run_until("CompleteOrder")
    mishap(order)

    with pytest.raises(OrderIncomplete):
        order.call("CompleteOrder")

    assert order.ending().status != "CONFIRMED"
    assert "CompleteOrder" not in order.journal()


@pytest.mark.parametrize("mishap", MISHAPS)
def test_the_last_check_before_the_end_finds_an_order_that_lacks_money_or_stock(
    order: Order, mishap: Callable[[Order], None]
) -> None:
    order.run_until("SendConfirmation")
    mishap(order)

    with pytest.raises(OrderIncomplete):
        order.call("SendConfirmation")

    assert "SendConfirmation" not in order.journal()


def test_an_order_that_fails_the_last_check_is_undone_at_once(order: Order) -> None:
    execution = order.run(meanwhile={"SendConfirmation": refund_in_part})

    assert execution.attempts["SendConfirmation"] == 1
    assert execution.visited == [*FORWARD[:5], *CHAIN]
    assert order.ending().status == "CANCELLED"
    assert order.ending().told == ["order_cancelled"]


@pytest.mark.parametrize("skipped", FORWARD[1:4])
def test_a_step_that_reported_success_without_its_effect_does_not_confirm_the_order(
    order: Order, skipped: str
) -> None:
    order.pipeline.execute(
        "INSERT INTO saga_steps (order_id, step, status) VALUES (:order_id, :step, 'SUCCEEDED')",
        order_id=order.order_id,
        step=skipped,
    )

    execution = order.run()

    assert execution.visited[-1] == "MarkCancelled"
    assert order.ending().status in {"CANCELLED", "NEEDS_REVIEW"}


def test_the_first_step_starts_the_order(order: Order) -> None:
    order.call("VerifyStock")

    assert order.ending().status == "PROCESSING"


def test_an_order_that_failed_the_first_step_for_good_is_started_as_well(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE stock SET sold = available, available = 0 WHERE product_id = :product_id",
        product_id=order.product_ids[0],
    )

    for _ in range(2):
        with pytest.raises(Exception, match=r"not enough stock|failed before"):
            order.call("VerifyStock")

        assert order.ending().status == "PROCESSING"
        assert order.journal() == {"VerifyStock": "FAILED"}


def test_a_repeated_saga_of_a_confirmed_order_changes_nothing(order: Order) -> None:
    order.run()
    order.run()

    assert order.ending() == CONFIRMED


def test_a_repeated_saga_of_a_cancelled_order_changes_nothing(order: Order) -> None:
    order.run(Fault("CompleteOrder", When.BEFORE))
    before = order.ending()

    execution = order.run()

    assert execution.errors[0] == ("VerifyStock", "StepFenced")
    assert order.ending() == before
