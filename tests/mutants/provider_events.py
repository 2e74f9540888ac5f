"""Defects in what we make of the payment provider's webhooks."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_INTAKE: Final = "functions/payment_webhooks/intake.py"
_LOOK: Final = "functions/provider_events/look.py"
_RECONCILIATION: Final = "layers/shared/python/orders/payments/reconciliation.py"
_DISPUTES: Final = "layers/shared/python/orders/payments/disputes.py"
_REFUNDS: Final = "layers/shared/python/orders/refunds.py"
_SIMULATOR: Final = "layers/payment_simulator/python/payment_simulator/webhooks.py"

_TAKEN_IN: Final = "tests/integration/payment_webhooks/test_intake.py"
_LOOKED_AT: Final = "tests/integration/provider_events/test_look.py"

PROVIDER_EVENTS: Final[tuple[Mutant, ...]] = (
    mutant(
        "A recorded webhook is good for ever",
        _SIMULATOR,
        "    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:\n",
        "    if not timestamp.isdecimal():\n",
        f"{_TAKEN_IN}::test_a_stale_event_or_one_from_the_future_is_refused",
    ),
    mutant(
        "The time of a webhook is not signed",
        _SIMULATOR,
        'hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)',
        "hmac.new(secret.encode(), body, hashlib.sha256)",
        f"{_TAKEN_IN}::test_another_time_is_refused_also_with_its_own_signature_changed",
    ),
    mutant(
        "Only the first of two secrets is good",
        _INTAKE,
        "        for secret in self.secrets().split():\n",
        "        for secret in self.secrets().split()[:1]:\n",
        f"{_TAKEN_IN}::test_while_the_secret_is_rotated_both_are_good",
    ),
    mutant(
        "An empty secret is one",
        _INTAKE,
        "        for secret in self.secrets().split():\n",
        "        for secret in self.secrets().strip().split(' '):\n",
        f"{_TAKEN_IN}::test_without_a_secret_nothing_is_good",
    ),
    mutant(
        "A provider's event takes effect again",
        _LOOK,
        "        if not inbox.record(connection, Consumer.PROVIDER_EVENTS, message.id):\n            return None\n",
        "        inbox.record(connection, Consumer.PROVIDER_EVENTS, message.id)\n",
        f"{_LOOKED_AT}::test_two_deliveries_of_one_event_at_once_have_one_effect",
    ),
    mutant(
        "What an event says is believed",
        _LOOK,
        "    if found.order_status is OrderStatus.PROCESSING and not _waits_for_customer(at_gateway):\n",
        "    if found.order_status is OrderStatus.PROCESSING:\n",
        f"{_LOOKED_AT}::test_an_event_that_says_more_than_the_provider_does_wakes_nobody",
    ),
    mutant(
        "A refund of ours is recorded as the provider's",
        _RECONCILIATION,
        "gateway.find_refunds(key) if refund.refund_key is None]",
        "gateway.find_refunds(key)]",
        f"{_LOOKED_AT}::test_a_refund_of_ours_is_left_to_its_own_execution",
    ),
    mutant(
        "A refund of the dashboard takes nothing of the payment",
        _REFUNDS,
        "    if amount:\n        records.give_back(connection, order_id, amount)\n    return new\n",
        "    return new\n",
        f"{_LOOKED_AT}::test_a_refund_of_the_dashboard_is_recorded_once_and_nobody_is_mailed",
        f"{_LOOKED_AT}::test_an_order_whose_money_goes_back_while_it_is_processed_is_never_confirmed_for_less",
    ),
    mutant(
        "A refund that the provider does not know is not noticed",
        _RECONCILIATION,
        "                and payment.refunded <= found.refunded <=",
        "                and found.refunded <=",
        f"{_LOOKED_AT}::test_a_refund_that_we_know_and_the_provider_does_not_is_shown_to_an_operator",
    ),
    mutant(
        "A dispute goes back to what it was",
        _DISPUTES,
        "    WHERE dispute.updated_at < excluded.updated_at\n",
        "",
        f"{_LOOKED_AT}::test_an_answer_that_was_long_on_its_way_does_not_undo_a_later_one",
    ),
)
