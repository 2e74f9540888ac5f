"""The mutants of Stripe's provider: what keeps a key to one charge, and a refund to one."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_PACKAGE: Final = "layers/payment_stripe/python/payment_stripe"
_GATEWAY: Final = f"{_PACKAGE}/gateway.py"
_API: Final = f"{_PACKAGE}/api.py"
_RECORDS: Final = f"{_PACKAGE}/records.py"
_AMOUNTS: Final = f"{_PACKAGE}/amounts.py"

_TESTS: Final = "tests/integration/payment_stripe"
_CAPTURED: Final = f"{_TESTS}/test_capture.py"
_REFUNDED: Final = f"{_TESTS}/test_refunds.py"
_ASKED: Final = f"{_TESTS}/test_api.py"
_COUNTED: Final = f"{_TESTS}/test_amounts.py"

STRIPE: Final[tuple[Mutant, ...]] = (
    mutant(
        "An intent is confirmed whose id is not the key's",
        _GATEWAY,
        "        if kept.intent_id == intent.id:\n",
        "        if True:\n",
        f"{_CAPTURED}::test_two_who_create_at_once_agree_on_one_intent_even_if_stripe_forgets_between_them",
        f"{_CAPTURED}::test_a_void_during_a_creation_leaves_nothing_that_could_be_charged",
    ),
    mutant(
        "A closed key takes an intent",
        _RECORDS,
        "WHEN closed_at IS NULL THEN coalesce(payment_intent_id, :payment_intent_id)",
        "WHEN true THEN coalesce(payment_intent_id, :payment_intent_id)",
        f"{_CAPTURED}::test_a_void_during_a_creation_leaves_nothing_that_could_be_charged",
    ),
    mutant(
        "A key whose void could not cancel is confirmed",
        _GATEWAY,
        'intent.status == "requires_confirmation" and not record.is_closed',
        'intent.status == "requires_confirmation"',
        f"{_CAPTURED}::test_a_void_that_could_not_cancel_is_closed_already_and_goes_on_when_it_is_repeated",
    ),
    mutant(
        "A declined intent stays open to another card",
        _GATEWAY,
        "            intent = _cancel(requests, intent.id)\n        elif",
        "        elif",
        f"{_CAPTURED}::test_after_a_decline_the_customer_cannot_pay_with_another_card",
    ),
    mutant(
        "A confirmation that nobody knows the outcome of is said to have charged nothing",
        _GATEWAY,
        "                raise unknown from unknown.__cause__\n",
        "                raise\n",
        f"{_CAPTURED}::test_an_unknown_outcome_stays_unknown_while_nobody_can_ask",
    ),
    mutant(
        "A refund is not looked for before it is made",
        _GATEWAY,
        "        made = self._made(requests, intent.id, refund_key)\n        if made is None:",
        "        made = None\n        if made is None:",
        f"{_REFUNDED}::test_a_refund_is_known_also_after_stripe_has_forgotten_its_key",
    ),
    mutant(
        "A refund is made again after a failure of Stripe's that had taken effect",
        _GATEWAY,
        "            if found is not None:\n                return found\n",
        "",
        f"{_REFUNDED}::test_whatever_happens_to_a_refund_the_next_attempts_give_back_once",
    ),
    mutant(
        "Only the first page of refunds is read",
        _GATEWAY,
        "        if not page.has_more:\n",
        "        if page:\n",
        f"{_REFUNDED}::test_refunds_are_found_on_every_page",
    ),
    mutant(
        "A refund that came back from the bank counts as given back",
        _GATEWAY,
        '_REFUND_FAILED: Final = ("failed", "canceled")',
        '_REFUND_FAILED: Final = ("canceled",)',
        f"{_REFUNDED}::test_a_refund_that_the_bank_sends_back_is_none_and_is_not_tried_again",
    ),
    mutant(
        "A request of no time left is sent all the same",
        _API,
        "            if not self._has_time(0):\n",
        "            if False:\n",
        f"{_ASKED}::test_a_call_ends_in_its_time_and_goes_on_in_the_next_one",
    ),
    mutant(
        "A key that was rotated is not read again",
        _API,
        "self._api.client(afresh=True), True",
        "self._api.client(), True",
        f"{_ASKED}::test_a_key_that_was_rotated_is_read_again",
    ),
    mutant(
        "A payment that another request has counts against Stripe",
        _API,
        'is_locked = error.error is not None and error.error.code == "lock_timeout"',
        "is_locked = False",
        f"{_ASKED}::test_a_payment_that_another_request_has_says_nothing_about_stripe",
    ),
    mutant(
        "Ariaries are charged as if they had cents",
        _AMOUNTS,
        '_UNITS: Final = frozenset({"MGA"})',
        "_UNITS: Final = frozenset[str]()",
        f"{_COUNTED}::test_an_amount_is_the_same_at_stripe",
    ),
)
