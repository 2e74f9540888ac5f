"""Mutants of cancellations by the customer."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_USE_CASE: Final = "functions/cancel_order/cancel_order.py"
_RECORDS: Final = "layers/shared/python/orders/cancellations.py"

_POINTS: Final = "tests/integration/cancel_order/test_every_point.py"
_RACES: Final = "tests/integration/cancel_order/test_races.py"

CANCELLATIONS: Final[tuple[Mutant, ...]] = (
    mutant(
        "Anybody cancels any order",
        _USE_CASE,
        "orders.user_id = :user_id OR CAST(:is_administrator AS boolean)",
        "orders.user_id = :user_id OR CAST(:is_administrator AS boolean) IS NOT NULL",
        f"{_POINTS}::test_nobody_cancels_another_users_order",
    ),
    mutant(
        "Nobody knows which operator cancelled an order, and why",
        _USE_CASE,
        "        if not looked.is_own:\n",
        "        if looked.is_own:\n",
        f"{_POINTS}::test_an_administrator_cancels_any_order_in_their_own_name_and_may_say_why",
        f"{_POINTS}::test_a_customer_is_no_operator_of_their_own_order",
    ),
    mutant(
        "A cancellation leaves the way to CompleteOrder open",
        _USE_CASE,
        "        saga.turn_back(connection, request.order_id, CancellationRequested.__name__)\n",
        "        pass\n",
        f"{_POINTS}::test_an_order_is_turned_back_at_its_next_step",
        f"{_RACES}::test_complete_order_that_waits_for_a_cancellation_is_refused",
    ),
    mutant(
        "A cancellation that comes after CompleteOrder fails",
        _USE_CASE,
        "    except OrderAlreadyCompleted:\n        return None\n",
        "    except OrderAlreadyCompleted:\n        raise\n",
        f"{_RACES}::test_a_cancellation_that_waits_for_complete_order_finds_a_confirmed_order_and_refunds_it",
    ),
    mutant(
        "An order that has ended meanwhile counts as cancelled",
        _RECORDS,
        "WHERE id = :order_id AND status IN ('PENDING', 'PROCESSING')",
        "WHERE id = :order_id",
        f"{_RACES}::test_a_cancellation_that_waits_for_the_orders_other_end_is_told_of_it",
    ),
    mutant(
        "A confirmed order can be cancelled for ever",
        _RECORDS,
        "is_in_time=row.looked_at < row.possible_until if confirmed",
        "is_in_time=True if confirmed",
        f"{_POINTS}::test_a_customer_who_comes_too_late_is_told_until_when_it_was_possible",
    ),
    mutant(
        "A repeated cancellation of a confirmed order asks for another refund",
        _RECORDS,
        "    WHERE cancellation.refund_id IS NULL\n",
        "",
        f"{_RACES}::test_twenty_cancellations_at_once_have_one_effect",
    ),
    mutant(
        "The stock of a cancelled order is not put back",
        _USE_CASE,
        "            restock=True,\n",
        "            restock=False,\n",
        f"{_POINTS}::test_a_confirmed_order_is_refunded_in_full_and_its_stock_put_back",
    ),
    mutant(
        "An order that waits for its customer is not woken",
        _USE_CASE,
        "        try:\n            wake(token)\n",
        "        try:\n            pass\n",
        f"{_POINTS}::test_who_is_expected_to_authenticate_their_payment_need_not_any_more",
    ),
)
