"""Mutants of payments that need their customer."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_ASL: Final = "statemachines/order_saga.asl.json"
_ACTIONS: Final = "layers/shared/python/orders/payments/actions.py"
_RECORDS: Final = "layers/shared/python/orders/payments/records.py"
_RECONCILIATION: Final = "layers/shared/python/orders/payments/reconciliation.py"
_PAYMENT: Final = "functions/saga_steps/payment.py"
_QUERIES: Final = "functions/read_orders/queries.py"

_ACTS: Final = "tests/integration/saga/test_customer_acts.py"
_RECORDED: Final = "tests/integration/saga/test_payment_actions.py"
_RECONCILED: Final = "tests/integration/payment_events/test_reconciliation.py"
_DEFINITION: Final = "tests/infra/test_saga_definition.py"
_PROGRESS: Final = "tests/integration/read_orders/test_progress.py"

WAITING: Final[tuple[Mutant, ...]] = (
    mutant(
        "An order waits for its customer for ever",
        _PAYMENT,
        "    if recorded.is_over:\n",
        "    if False:\n",
        f"{_ACTS}::test_a_repeated_call_says_the_same_when_the_time_is_over",
    ),
    mutant(
        "A customer has new time with each look",
        _ACTIONS,
        "        SET type = excluded.type, client_secret",
        "        SET expires_at = excluded.expires_at, type = excluded.type, client_secret",
        f"{_RECORDED}::test_the_time_is_set_once_however_often_the_action_is_recorded",
    ),
    mutant(
        "Who acts before the action is recorded is waited for",
        _PAYMENT,
        "    if recorded.is_new:\n",
        "    if False:\n",
        f"{_ACTS}::test_who_acts_before_the_action_is_recorded_is_not_waited_for",
    ),
    mutant(
        "A token is kept for a wait that is over",
        _ACTIONS,
        "    WHERE order_id = :order_id AND ended_at IS NULL\n    RETURNING order_id\n",
        "    WHERE order_id = :order_id\n    RETURNING order_id\n",
        f"{_RECORDED}::test_who_comes_to_wait_after_the_end_does_not_wait",
        f"{_ACTS}::test_who_acts_between_a_look_and_the_next_wait_is_not_waited_for",
    ),
    mutant(
        "An action is recorded without looking whether its order is being undone",
        _ACTIONS,
        "AND step = 'CompleteOrder' AND status = 'FENCED'\n",
        "AND false\n",
        f"{_RECORDED}::test_nobody_waits_for_an_order_that_is_being_undone",
        f"{_ACTS}::test_an_order_that_is_turned_back_while_it_is_charged_does_not_wait",
    ),
    mutant(
        "An action is recorded while somebody turns its order back",
        _ACTIONS,
        '    connection.execute(_LOCK, {"order_id": order_id})\n    parameters',
        "    parameters",
        f"{_RECORDED}::test_an_action_that_is_recorded_while_the_saga_is_turned_back_is_refused",
    ),
    mutant(
        "Who turns an order back does not wait for an action that is being recorded",
        _ACTIONS,
        '    connection.execute(_LOCK, {"order_id": order_id})\n    token',
        "    token",
        f"{_RECORDED}::test_who_turns_the_saga_back_while_the_action_is_being_recorded_finds_it",
    ),
    mutant(
        "Stock is given back while its customer may be charged",
        _RECORDS,
        "          AND (payments.status IN {_UNDECIDED} OR payments.status = 'CAPTURED')\n",
        "          AND payments.status IN ('PENDING', 'UNKNOWN', 'CAPTURED')\n",
        f"{_ACTS}::test_stock_is_not_given_back_while_its_customer_may_be_charged",
    ),
    mutant(
        "The customer of an order that is undone can still be charged",
        _RECONCILIATION,
        "    if found is None or found.status in _UNDECIDED_AT_GATEWAY:\n        # Returns",
        "    if found is None or found.status is GatewayStatus.OPEN:\n        # Returns",
        f"{_ACTS}::test_the_token_of_a_saga_that_has_ended_wakes_nobody",
        f"{_RECONCILED}::test_a_customer_cannot_act_any_more_on_the_payment_of_a_cancelled_order",
    ),
    mutant(
        "An order that cannot be refunded for now still asks its customer to pay",
        _PAYMENT,
        "        if intent.status is PaymentStatus.ACTION_REQUIRED:\n            actions.end(connection, order_id)\n",
        "",
        f"{_ACTS}::test_nothing_is_asked_of_a_customer_whose_order_is_being_undone",
    ),
    mutant(
        "A payment whose time was over fails in another way when it is asked for again",
        _PAYMENT,
        "        if has_waited:\n            # A call",
        "        if False:\n            # A call",
        f"{_ACTS}::test_a_payment_that_is_declined_when_its_time_is_over_says_so_still",
    ),
    mutant(
        "A wait is repeated without asking the gateway",
        _ASL,
        '"WaitOver": {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 0}',
        '"WaitOver": {"ErrorEquals": ["States.Timeout"], "MaxAttempts": 3}',
        f"{_DEFINITION}::test_a_wait_whose_time_is_over_is_not_repeated_by_itself",
    ),
    mutant(
        "A customer is asked to act when it makes no difference any more",
        _QUERIES,
        "            AND action.ended_at IS NULL AND action.expires_at > now()\n",
        "",
        f"{_PROGRESS}::test_there_is_nothing_to_do_any_more",
    ),
)
