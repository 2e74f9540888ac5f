"""The mutants: the seven defects that would break the promises at once, and one for every line that keeps one."""

from typing import Final

from tests.mutants.cancellations import CANCELLATIONS
from tests.mutants.guards import GUARDS
from tests.mutants.messages import MESSAGES
from tests.mutants.mutant import Edit, Mutant, mutant
from tests.mutants.operators import OPERATORS
from tests.mutants.provider_events import PROVIDER_EVENTS
from tests.mutants.reads import READS
from tests.mutants.requests import REQUESTS
from tests.mutants.search import SEARCHES
from tests.mutants.stripe import STRIPE
from tests.mutants.waiting import WAITING
from tests.mutants.webhooks import WEBHOOKS

_ASL: Final = "statemachines/order_saga.asl.json"
_LIFECYCLE: Final = "layers/shared/python/orders/lifecycle.py"
_SAGA: Final = "layers/shared/python/orders/saga.py"
_INVENTORY: Final = "layers/shared/python/orders/inventory.py"
_NOTIFICATIONS: Final = "layers/shared/python/orders/notifications.py"
_INBOX: Final = "layers/shared/python/orders/inbox.py"
_BREAKER: Final = "layers/shared/python/orders/payments/breaker.py"
_RECORDS: Final = "layers/shared/python/orders/payments/records.py"
_RECONCILIATION: Final = "layers/shared/python/orders/payments/reconciliation.py"
_PLACE_ORDER: Final = "functions/create_order/place_order.py"
_CLOSING: Final = "layers/shared/python/orders/closing.py"
_DOMAIN: Final = "layers/shared/python/orders/domain.py"
_ERASURE: Final = "layers/shared/python/orders/erasure.py"
_CLAIMS: Final = "functions/outbox_relay/claims.py"
_RELAY: Final = "functions/outbox_relay/relay.py"
_TRANSACTION: Final = "functions/saga_steps/transaction.py"
_ORDER: Final = "functions/saga_steps/order.py"
_PAYMENT: Final = "functions/saga_steps/payment.py"

_SAGA_TESTS: Final = "tests/integration/saga"
_LATE: Final = f"{_SAGA_TESTS}/test_late_steps.py"
_COMPENSATIONS: Final = f"{_SAGA_TESTS}/test_compensations.py"
_CONCURRENCY: Final = f"{_SAGA_TESTS}/test_concurrency.py"
_FAILURES: Final = f"{_SAGA_TESTS}/test_failure_points.py"
_ANNOUNCED: Final = f"{_SAGA_TESTS}/test_announcements.py"
_STATUS: Final = f"{_SAGA_TESTS}/test_order_status.py"
_PAYMENTS: Final = f"{_SAGA_TESTS}/test_payment.py"
_STOCK: Final = f"{_SAGA_TESTS}/test_stock.py"
_RESUMED: Final = "tests/integration/maintenance/test_resumed_sagas.py"
_SETTLED: Final = "tests/integration/maintenance/test_payments.py"
_RECONCILED: Final = "tests/integration/payment_events/test_reconciliation.py"
_LOW_STOCK: Final = "tests/integration/inventory_events/test_low_stock.py"
_BREAKER_TESTS: Final = "tests/integration/breaker/test_breaker.py"
_LIMITS: Final = "tests/integration/create_order/test_limits.py"
_CLAIM_TESTS: Final = "tests/integration/relay/test_claims.py"
_ERASED: Final = "tests/integration/privacy/test_erasure.py"
_SUSPECTED: Final = "tests/integration/privacy/test_suspected_fraud.py"
_REVIEWED: Final = "tests/integration/operations/test_review.py"
_RELAYING: Final = "tests/integration/relay/test_relaying.py"

SEVEN: Final = (
    mutant(
        "Marks events published before sending them",
        _RELAY,
        "            self._send_urgent_first(claimed)\n",
        "            if claimed:\n                self._outbox.mark_published(claimed)\n"
        "            self._send_urgent_first(claimed)\n",
        "tests/unit/test_relay.py::test_only_what_the_queue_confirmed_is_published",
        f"{_RELAYING}::test_of_a_partly_failed_batch_only_the_failed_are_sent_again",
    ),
    mutant(
        "No inbox: every delivery is the first",
        _INBOX,
        "    return recorded.first() is not None\n",
        "    return True\n",
        f"{_LOW_STOCK}::test_the_same_event_delivered_again_takes_effect_once",
        f"{_RECONCILED}::test_a_delivery_at_the_same_time_takes_no_second_effect",
    ),
    Mutant(
        "No fence: a late step does its work",
        (
            Edit(_SAGA, "AND step = 'CompleteOrder' AND status = 'FENCED'\n", "AND false\n"),
            Edit(
                _SAGA,
                '            raise StepFenced(f"{step} was closed by its compensation")',
                "            return True",
            ),
        ),
        (f"{_LATE}::test_a_step_that_comes_after_its_compensation_refuses_to_work",),
    ),
    mutant(
        "Refunds by its own record, without asking the gateway first",
        _PAYMENT,
        "    payment = give_back(gateway, intent, gateway.find(intent.key))\n",
        "    payment = GatewayPayment(intent.key, GatewayStatus.VOIDED)\n"
        "    if intent.status is PaymentStatus.CAPTURED:\n"
        "        payment = give_back(gateway, intent, gateway.find(intent.key))\n",
        f"{_PAYMENTS}::test_a_charge_of_unknown_outcome_is_found_and_refunded",
    ),
    Mutant(
        "Claims by cursor: `id > last_seen`",
        (
            Edit(
                _CLAIMS,
                "    WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END\n"
                "      AND priority = '{priority}' AND available_at <= now()\n    ORDER BY available_at, id\n",
                "    WHERE id > :last_seen AND priority = '{priority}'\n    ORDER BY id\n",
            ),
            Edit(
                _CLAIMS,
                "        self._database = database\n",
                "        self._database = database\n        self._last_seen = UUID(int=0)\n",
            ),
            Edit(
                _CLAIMS,
                '                "limit": limit,\n',
                '                "limit": limit,\n                "last_seen": self._last_seen,\n',
            ),
            Edit(
                _CLAIMS,
                "mappings()\n            ]\n\n        return self._database.transact_alone(work)",
                "mappings()\n            ]\n\n        claimed = self._database.transact_alone(work)\n"
                "        self._last_seen = max([self._last_seen, *(event.id for event in claimed)])\n"
                "        return claimed",
            ),
        ),
        (
            f"{_CLAIM_TESTS}::test_events_of_a_transaction_under_way_neither_block_nor_are_passed_over_for_good",
            f"{_RELAYING}::test_events_whose_commits_overtake_each_other_are_all_published",
        ),
    ),
    mutant(
        "Takes stock whether it is there or not",
        _INVENTORY,
        " AND stock.available >= line.quantity",
        "",
        f"{_STOCK}::test_a_line_that_cannot_be_had_takes_no_other_with_it",
        f"{_CONCURRENCY}::test_sixteen_buyers_of_the_last_five_units_make_five_sales",
    ),
    mutant(
        "Swallows a failed compensation: the state machine forgets it",
        _ASL,
        """{% $merge([$unfinished, {'SendCancellation': $states.errorOutput.Error}]) %}""",
        "{% $unfinished %}",
        f"{_COMPENSATIONS}::test_a_failing_compensation_stops_no_other_and_needs_review",
    ),
)

STEPS: Final = (
    # The journal and its fences.
    mutant(
        "An execution that takes over goes forward although the saga had turned back",
        _SAGA,
        "AND step = 'CompleteOrder' AND status = 'FENCED'\n",
        "AND false\n",
        f"{_LATE}::test_any_step_refuses_an_order_that_was_cancelled_before_the_step_ever_began",
    ),
    mutant(
        "A step does its work on every call",
        _SAGA,
        "            return bool(recorded.attempts == 1)\n",
        "            return True\n",
        f"{_CONCURRENCY}::test_one_step_in_two_processes_at_once_takes_effect_once",
    ),
    mutant(
        "A step that failed for good is tried again",
        _SAGA,
        '            raise failure(f"{step} failed before")\n',
        "            return True\n",
        f"{_STOCK}::test_a_repeated_step_fails_as_it_failed_before_although_there_is_stock_again",
    ),
    mutant(
        "A compensation does not notice that the order is confirmed",
        _SAGA,
        "    WHERE saga_steps.status = 'FENCED'\n    RETURNING error",
        "    RETURNING error",
        f"{_LATE}::test_no_compensation_undoes_a_confirmed_order",
    ),
    mutant(
        "Closing a step does not notice that the order is confirmed",
        _SAGA,
        "    if (SagaStep.COMPLETE_ORDER, StepStatus.SUCCEEDED) in ",
        "    if (SagaStep.COMPLETE_ORDER, StepStatus.FAILED) in ",
        f"{_LATE}::test_closing_a_step_of_a_confirmed_order_is_refused",
    ),
    mutant(
        "The last reason for turning back replaces the first",
        _SAGA,
        "SET error = coalesce(saga_steps.error, excluded.error)",
        "SET error = excluded.error",
        f"{_RESUMED}::test_a_saga_that_died_on_its_way_back_is_taken_back_to_the_same_end",
    ),
    mutant(
        "Every record of a compensation is taken for the first",
        _SAGA,
        "    return bool(attempts == 1)\n",
        "    return True\n",
        f"{_PAYMENTS}::test_a_refund_that_another_one_overtakes_says_nothing_of_it_a_second_time",
    ),
    mutant(
        "A business failure is not remembered",
        _TRANSACTION,
        "            saga.record_failure(connection, order_id, step, failure)\n",
        "",
        f"{_STOCK}::test_a_repeated_step_fails_as_it_failed_before_although_there_is_stock_again",
    ),
    mutant(
        "A compensation forgets why the saga had turned back",
        _TRANSACTION,
        "    return event.because_of(error)\n",
        "    return event\n",
        f"{_RESUMED}::test_a_saga_that_died_on_its_way_back_is_taken_back_to_the_same_end",
    ),
    mutant(
        "A compensation does not close its step",
        _TRANSACTION,
        "        saga.close(connection, order_id, compensation)\n",
        "",
        f"{_LATE}::test_a_compensation_waits_for_a_step_that_is_under_way_and_undoes_it",
    ),
    mutant(
        "A compensation is not journaled",
        _TRANSACTION,
        "        saga.record_compensation(connection, order_id, compensation)\n",
        "",
        f"{_FAILURES}::test_the_charge_of_a_failed_order_can_be_read_in_the_journal",
    ),
    mutant(
        "A compensation swallows what goes wrong",
        _TRANSACTION,
        "        saga.record_compensation(connection, order_id, compensation)\n\n    database.transact(work)\n",
        "        saga.record_compensation(connection, order_id, compensation)\n\n"
        "    try:\n        database.transact(work)\n    except Exception:\n        pass\n",
        f"{_COMPENSATIONS}::test_a_compensation_that_cannot_reach_the_database_says_so",
    ),
    mutant(
        "An order that fails its first step stays PENDING",
        _TRANSACTION,
        "            if on_failure is not None:\n                on_failure(connection, order_id)\n",
        "",
        f"{_STATUS}::test_an_order_that_failed_the_first_step_for_good_is_started_as_well",
    ),
    # Stock.
    mutant(
        "Stock is locked in any order when it is reserved",
        _INVENTORY,
        "        ORDER BY stock.product_id FOR UPDATE OF stock\n    ), taken",
        "        ORDER BY stock.product_id DESC FOR UPDATE OF stock\n    ), taken",
        f"{_CONCURRENCY}::test_stock_is_locked_in_the_order_of_the_products_whatever_the_order_of_the_lines",
    ),
    mutant(
        "Stock is locked in any order when it is settled",
        _INVENTORY,
        "JOIN settled USING (product_id)\n        ORDER BY stock.product_id FOR",
        "JOIN settled USING (product_id)\n        ORDER BY stock.product_id DESC FOR",
        f"{_CONCURRENCY}::test_stock_is_locked_in_the_order_of_the_products_whatever_the_order_of_the_lines",
    ),
    mutant(
        "A reservation is settled whatever its status",
        _INVENTORY,
        "        WHERE order_id = :order_id AND status = :from_status\n",
        "        WHERE order_id = :order_id\n",
        f"{_STOCK}::test_what_was_sold_is_restored_and_what_was_held_is_released_and_neither_twice",
    ),
    mutant(
        "An order is sold although a line of it has expired",
        _INVENTORY,
        "    if counts.settled != counts.lines:\n",
        "    if counts.settled == 0:\n",
        f"{_STOCK}::test_an_expired_reservation_stays_expired",
    ),
    mutant(
        "A reservation leaves no movement",
        _INVENTORY,
        "        SELECT product_id, :order_id, 'RESERVED', quantity FROM taken\n",
        "        SELECT product_id, :order_id, 'RESERVED', quantity FROM taken WHERE false\n",
        f"{_STOCK}::test_every_line_is_reserved_for_the_ttl",
    ),
    mutant(
        "A sale and its undoing leave no movement",
        _INVENTORY,
        "        SELECT product_id, :order_id, :to_status, quantity FROM settled\n",
        "        SELECT product_id, :order_id, :to_status, quantity FROM settled WHERE false\n",
        f"{_COMPENSATIONS}::test_a_compensation_whose_answer_is_lost_takes_effect_once",
    ),
    mutant(
        "The last unit cannot be had",
        _INVENTORY,
        "coalesce(stock.available, 0) < item.quantity",
        "coalesce(stock.available, 0) <= item.quantity",
        f"{_STOCK}::test_the_last_unit_can_be_had",
    ),
    mutant(
        "A reservation has no time",
        _INVENTORY,
        "now() + make_interval(secs => :ttl_seconds)",
        "now() + 0 * make_interval(secs => :ttl_seconds)",
        f"{_STOCK}::test_every_line_is_reserved_for_the_ttl",
    ),
    # The order itself.
    mutant(
        "An order is confirmed without its money",
        _LIFECYCLE,
        '    AND total_amount = {records.held(":order_id")}\n',
        "",
        f"{_STATUS}::test_an_order_that_lacks_money_or_stock_is_never_confirmed",
    ),
    mutant(
        "An order is confirmed without its stock",
        _LIFECYCLE,
        "FROM reservations WHERE order_id = :order_id AND status = 'CONFIRMED'\n",
        "FROM order_items WHERE order_id = :order_id\n",
        f"{_STATUS}::test_an_order_that_lacks_money_or_stock_is_never_confirmed",
    ),
    mutant(
        "A payment whose outcome nobody knows counts as no money",
        _RECORDS,
        "AND (captured <> refunded OR status IN {_UNDECIDED})",
        "AND captured <> refunded",
        f"{_COMPENSATIONS}::test_a_payment_whose_outcome_nobody_knows_needs_review",
    ),
    mutant(
        "An order is cancelled although a compensation is unfinished",
        _LIFECYCLE,
        "WHEN CAST(:unfinished AS boolean) OR money",
        "WHEN CAST(:unfinished AS boolean) AND false OR money",
        f"{_COMPENSATIONS}::test_a_failing_compensation_stops_no_other_and_needs_review",
    ),
    mutant(
        "An order is cancelled although its money is held",
        _LIFECYCLE,
        " OR money OR stock THEN",
        " OR stock THEN",
        f"{_COMPENSATIONS}::test_an_order_whose_money_alone_is_still_held_needs_review",
    ),
    mutant(
        "An order is cancelled although its stock is held",
        _LIFECYCLE,
        " OR money OR stock THEN",
        " OR money THEN",
        f"{_COMPENSATIONS}::test_an_order_that_still_holds_something_needs_review_although_every_compensation_claims_success",
    ),
    mutant(
        "The last check before the end looks at nothing",
        _ORDER,
        "SagaStep.SEND_CONFIRMATION, lifecycle.check_complete)",
        "SagaStep.SEND_CONFIRMATION, lambda connection, order_id: None)",
        f"{_STATUS}::test_the_last_check_before_the_end_finds_an_order_that_lacks_money_or_stock",
    ),
    mutant(
        "A confirmation is asked for of an order that is not confirmed",
        _LIFECYCLE,
        "FROM ended WHERE status = 'CONFIRMED'",
        "FROM ended",
        f"{_ANNOUNCED}::test_an_order_that_is_not_confirmed_asks_for_no_confirmation",
    ),
    mutant(
        "A confirmation is asked for again",
        _NOTIFICATIONS,
        "            ON CONFLICT DO NOTHING\n",
        "            ON CONFLICT (order_id, type, channel) DO UPDATE SET type = excluded.type\n",
        f"{_ANNOUNCED}::test_a_confirmation_that_was_asked_for_before_is_not_asked_for_again",
    ),
    # Money.
    mutant(
        "A charge and its refund do not wait for each other",
        _RECORDS,
        "        )) FOR NO KEY UPDATE\n",
        "        ))\n",
        f"{_PAYMENTS}::test_a_charge_and_a_refund_that_both_find_no_payment_wait_for_each_other_at_the_order",
    ),
    mutant(
        "A charge begins although the saga has turned back",
        _RECORDS,
        "            WHERE order_id = :order_id AND step = 'CompleteOrder' AND status = 'FENCED'\n",
        "            WHERE false\n",
        f"{_LATE}::test_any_step_refuses_an_order_that_was_cancelled_before_the_step_ever_began",
        f"{_PAYMENTS}::test_while_a_refund_is_still_failing_a_late_charge_does_not_reach_the_gateway",
    ),
    mutant(
        "A late answer opens a closed payment again",
        _RECORDS,
        "    WHERE order_id = :order_id AND status IN {_UNDECIDED}\n",
        "    WHERE order_id = :order_id\n",
        f"{_PAYMENTS}::test_a_charge_that_is_said_to_have_timed_out_after_its_refund_stays_refunded",
    ),
    mutant(
        "A charge that timed out is not marked UNKNOWN",
        _PAYMENT,
        "lambda connection: records.decide(connection, order_id, PaymentStatus.UNKNOWN)\n",
        "lambda connection: None\n",
        f"{_PAYMENTS}::test_a_charge_that_times_out_leaves_the_payment_unknown",
    ),
    mutant(
        "A second attempt charges without asking",
        _PAYMENT,
        " if intent.attempts > 1 else None\n",
        " if intent.attempts > 1_000 else None\n",
        f"{_PAYMENTS}::test_a_charge_that_times_out_is_found_and_captured_once",
    ),
    mutant(
        "A payment that was given back is taken for captured",
        _PAYMENT,
        "        case GatewayStatus.VOIDED | GatewayStatus.REFUNDED:\n",
        "        case GatewayStatus.VOIDED:\n",
        f"{_PAYMENTS}::test_a_payment_that_somebody_gave_back_at_the_gateway_is_not_taken_for_captured",
    ),
    mutant(
        "An unknown payment counts as settled",
        _RECORDS,
        "SETTLED: Final = frozenset({PaymentStatus.DECLINED,",
        "SETTLED: Final = frozenset({PaymentStatus.UNKNOWN, PaymentStatus.DECLINED,",
        f"{_PAYMENTS}::test_a_charge_of_unknown_outcome_is_found_and_refunded",
    ),
    mutant(
        "The gateway is not told that no charge may come any more",
        _RECONCILIATION,
        "        found = gateway.void(payment.key, payment.charge)\n",
        "        found = GatewayPayment(payment.key, GatewayStatus.VOIDED)\n",
        f"{_PAYMENTS}::test_a_charge_that_reaches_the_gateway_after_the_refund_is_refused_there",
    ),
    mutant(
        "A decline is not journaled",
        _PAYMENT,
        "            saga.record_failure(connection, order_id, SagaStep.PROCESS_PAYMENT, failure)\n",
        "",
        f"{_PAYMENTS}::test_a_repeated_call_is_refused_the_same_without_asking_the_gateway",
    ),
    mutant(
        "A payment that was closed meanwhile counts as captured",
        _PAYMENT,
        "        if intent.status is not PaymentStatus.CAPTURED:\n",
        "        if intent.status is PaymentStatus.PENDING:\n",
        f"{_PAYMENTS}::test_a_payment_that_was_closed_meanwhile_is_no_success",
    ),
    mutant(
        "A refund is not entered in our books",
        _RECORDS,
        "        refunded = CASE WHEN CAST(:status AS text) = 'REFUNDED' THEN amount ELSE refunded END\n",
        "        refunded = refunded\n",
        f"{_FAILURES}::test_a_failed_saga_takes_the_exact_way_back_and_leaves_nothing_behind",
    ),
    mutant(
        "A refund does not close the charge in the journal",
        _PAYMENT,
        "        saga.close(connection, order_id, SagaStep.REFUND_PAYMENT)\n",
        "",
        f"{_FAILURES}::test_the_charge_of_a_failed_order_can_be_read_in_the_journal",
    ),
    Mutant(
        "The customer is told of the cancellation on every call",
        (
            Edit(
                _ORDER,
                "        if saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION):\n",
                "        if saga.record_compensation(connection, order_id, SagaStep.SEND_CANCELLATION) or True:\n",
            ),
            # Either of the two would do.
            Edit(
                _NOTIFICATIONS,
                "            ON CONFLICT DO NOTHING\n",
                "            ON CONFLICT (order_id, type, channel) DO UPDATE SET type = excluded.type\n",
            ),
        ),
        (f"{_COMPENSATIONS}::test_a_compensation_whose_answer_is_lost_takes_effect_once",),
    ),
    # The limit on a user's orders.
    mutant(
        "Whoever looked in time may place an order, however many others did",
        _PLACE_ORDER,
        "        WHERE coalesce({_IN_THE_WAY} <= now() - CAST(:window AS interval), true)\n",
        "",
        f"{_LIMITS}::test_of_a_hundred_at_once_exactly_as_many_as_allowed_are_accepted",
    ),
    mutant(
        "One order too many fits into a minute",
        _PLACE_ORDER,
        "rate.recent[cardinality(rate.recent) - CAST(:most AS integer) + 1]",
        "rate.recent[cardinality(rate.recent) - CAST(:most AS integer)]",
        f"{_LIMITS}::test_one_order_more_than_allowed_is_refused_until_the_minute_is_over",
    ),
    mutant(
        "Anybody makes us ask the database as often as they like",
        "functions/read_orders/readiness.py",
        "self._clock() >= self._good_until",
        "True",
        "tests/integration/read_orders/test_health.py::"
        "test_the_database_is_asked_once_in_a_few_seconds_however_often_anybody_asks_us",
    ),
    mutant(
        "A part of a group's name is enough for an administrator",
        "layers/shared/python/orders/http.py",
        'return claim[1:-1].split(" ")',
        'return claim.strip("[]").replace(",", " ").split()',
        "tests/unit/test_http.py::test_no_other_spelling_of_a_group_is_an_administrator",
    ),
    # The circuit breaker, and reconciliation.
    mutant(
        "A decline counts as a failure of the gateway",
        _BREAKER,
        "RefundRefused):\n            self._answered(probe, is_proof)\n",
        "RefundRefused):\n            self._failed(probe, key)\n",
        f"{_BREAKER_TESTS}::test_an_answer_we_do_not_like_is_not_a_failure",
    ),
    mutant(
        "A method that fails by itself counts as a failure of the gateway",
        _BREAKER,
        "            if error.gateway_at_fault:\n",
        "            if error.gateway_at_fault is not None:\n",
        f"{_BREAKER_TESTS}::test_no_test_method_of_the_simulator_opens_the_circuit",
    ),
    mutant(
        "The retries of one order stop all others",
        _BREAKER,
        "\n                         AND cardinality(failing_keys) >= :keys",
        "",
        f"{_BREAKER_TESTS}::test_the_retries_of_one_order_or_two_never_open_it",
    ),
    mutant(
        "The circuit breaker counts failures and no successes",
        _BREAKER,
        "SET calls = calls + 1, updated_at = now()",
        "SET updated_at = now()",
        f"{_BREAKER_TESTS}::test_the_share_of_failures_decides_and_not_their_number",
    ),
    mutant(
        "Everybody probes at once",
        _BREAKER,
        "\n          AND (probe_until IS NULL OR probe_until <= now() OR probe = :probe)",
        "",
        f"{_BREAKER_TESTS}::test_after_a_minute_exactly_one_call_goes_through",
    ),
    mutant(
        "Looking a payment up counts as a sign of health",
        _BREAKER,
        "self._gateway.find(key), is_proof=False)",
        "self._gateway.find(key), is_proof=True)",
        f"{_BREAKER_TESTS}::test_looking_a_payment_up_is_no_sign_of_health",
    ),
    mutant(
        "Reconciliation overwrites what somebody has recorded meanwhile",
        _RECORDS,
        "    WHERE order_id = :order_id AND status = CAST(:compared AS text)\n",
        "    WHERE order_id = :order_id AND CAST(:compared AS text) <> ''\n",
        f"{_SETTLED}::test_what_somebody_else_recorded_meanwhile_stands",
    ),
    mutant(
        "What is captured for a cancelled order stays there",
        _RECONCILIATION,
        "    if found.status is GatewayStatus.CAPTURED:\n",
        "    if found.status is GatewayStatus.OPEN:\n",
        f"{_RECONCILED}::test_whatever_is_captured_for_a_cancelled_order_is_given_back",
    ),
)

PERSONAL_DATA: Final = (
    mutant(
        "Contact data is erased before the order's messages are out",
        _ERASURE,
        "orders.id AND notifications.status IN ('QUEUED', 'SENDING')",
        "orders.id AND notifications.status IN ('LOST')",
        f"{_ERASED}::TestRetention::test_nothing_is_erased_before_the_order_s_messages_are_out",
    ),
    mutant(
        "Contact data is erased before the payment is decided",
        _ERASURE,
        "payments.status IN ('PENDING', 'UNKNOWN')",
        "payments.status IN ('LOST')",
        f"{_ERASED}::TestRetention::test_nothing_is_erased_before_the_payment_is_decided",
    ),
    mutant(
        "An erased idempotency key is forgotten, and a repeated request makes a second order",
        _ERASURE,
        "    UPDATE idempotency_keys SET fingerprint = 'erased'\n    FROM orders\n",
        "    DELETE FROM idempotency_keys\n    USING orders\n",
        f"{_ERASED}::TestACustomerWhoAsks::test_sends_a_request_again_and_no_second_order_is_made",
    ),
    mutant(
        "A request for erasure is forgotten while orders are under way",
        _ERASURE,
        "        if not self.count(connection).with_contact:\n            connection",
        "        if self.count(connection):\n            connection",
        f"{_ERASED}::TestACustomerWhoAsks::test_is_told_what_is_under_way_and_maintenance_erases_it_at_its_end",
    ),
    mutant(
        "A customer is told that fraud is suspected",
        _DOMAIN,
        "        return PublicFailureReason.PAYMENT_DECLINED\n",
        "        return PublicFailureReason.PROCESSING_FAILED\n",
        f"{_SUSPECTED}::test_the_api_says_of_suspected_fraud_what_it_says_of_a_declined_card",
    ),
    mutant(
        "An order is closed as CANCELLED although its stock is sold",
        _CLOSING,
        "_CANCELLED if of_all else _BOTH",
        "_CONFIRMED if of_all else _BOTH",
        f"{_REVIEWED}::test_an_order_whose_stock_is_not_back_is_not_closed_as_cancelled",
    ),
    mutant(
        "An order is closed without asking what the gateway says",
        _CLOSING,
        "    has_money = balance.at_gateway is GatewayStatus.CAPTURED\n",
        "    has_money = balance.captured > balance.refunded\n",
        f"{_REVIEWED}::test_what_the_gateway_says_counts_and_not_only_our_record",
    ),
)

MUTANTS: Final = (
    *SEVEN,
    *STEPS,
    *CANCELLATIONS,
    *GUARDS,
    *MESSAGES,
    *PERSONAL_DATA,
    *READS,
    *SEARCHES,
    *OPERATORS,
    *REQUESTS,
    *STRIPE,
    *WAITING,
    *PROVIDER_EVENTS,
    *WEBHOOKS,
)
