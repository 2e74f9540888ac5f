"""The mutants of single conditions: of the statements that move an order by hand, and of what a consumer believes."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_LIFECYCLE: Final = "layers/shared/python/orders/lifecycle.py"
_MESSAGES: Final = "layers/shared/python/orders/messages.py"
_TRACING: Final = "layers/shared/python/orders/tracing.py"
_CONSUMER: Final = "layers/shared/python/orders/consumer.py"
_ATTEMPTS: Final = "functions/deliver_webhooks/attempts.py"
_SAGA: Final = "layers/shared/python/orders/saga.py"
_OBSERVABILITY: Final = "layers/shared/python/orders/observability.py"

_REFUNDS: Final = "layers/shared/python/orders/refunds.py"
_GRANTS: Final = "tests/integration/refunds/test_grants.py"
_REFUND_STEPS: Final = "tests/integration/refunds/test_steps.py"

_ORDERS: Final = "tests/integration/saga/test_guards.py"
_STEPS: Final = "tests/integration/saga/test_failing_steps.py"
_REVIEW: Final = "tests/integration/operations/test_review.py"
_UNTRUE: Final = "tests/integration/consumers/test_untrue_messages.py"
_BOUNDS: Final = "tests/unit/test_bounds.py"

_RESUMED: Final = "WHERE id = :order_id AND status = 'NEEDS_REVIEW' AND updated_at = :looked_at"
_CLOSED: Final = (
    "WHERE orders.id = :order_id AND orders.status = 'NEEDS_REVIEW' AND orders.updated_at = :looked_at"
)
_NOT_IN_REVIEW: Final = f"{_ORDERS}::test_an_operator_moves_no_order_that_is_not_under_review"
_MOVED: Final = f"{_ORDERS}::test_an_operator_moves_no_order_that_has_moved_since_they_looked"
_MOVED_MEANWHILE: Final = f"{_REVIEW}::test_an_order_that_moved_while_the_operator_looked_is_left_as_it_is"
_FORGED: Final = f"{_UNTRUE}::test_a_forged_message_changes_nothing_and_tells_nobody_anything"

GUARDS: Final[tuple[Mutant, ...]] = (
    mutant(
        "An order is resumed whatever its status",
        _LIFECYCLE,
        _RESUMED,
        "WHERE id = :order_id AND updated_at = :looked_at",
        _NOT_IN_REVIEW,
    ),
    mutant(
        "An order is resumed that somebody has moved since",
        _LIFECYCLE,
        _RESUMED,
        "WHERE id = :order_id AND status = 'NEEDS_REVIEW' AND CAST(:looked_at AS timestamptz) IS NOT NULL",
        _MOVED,
        _MOVED_MEANWHILE,
    ),
    mutant(
        "An order is closed whatever its status",
        _LIFECYCLE,
        _CLOSED,
        "WHERE orders.id = :order_id AND orders.updated_at = :looked_at",
        _NOT_IN_REVIEW,
    ),
    mutant(
        "An order is closed that somebody has moved since",
        _LIFECYCLE,
        _CLOSED,
        "WHERE orders.id = :order_id AND orders.status = 'NEEDS_REVIEW' "
        "AND CAST(:looked_at AS timestamptz) IS NOT NULL",
        _MOVED,
        _MOVED_MEANWHILE,
    ),
    mutant(
        "An order that has begun begins again",
        _LIFECYCLE,
        "WHERE id = :order_id AND status = 'PENDING'",
        "WHERE id = :order_id AND status <> 'CONFIRMED'",
        f"{_ORDERS}::test_only_a_pending_order_begins",
    ),
    mutant(
        "An order that has ended is put under review",
        _LIFECYCLE,
        "updated_at = now()\n    WHERE id = :order_id AND status = 'PROCESSING'",
        "updated_at = now()\n    WHERE id = :order_id",
        f"{_ORDERS}::test_an_order_that_has_ended_is_not_put_under_review",
    ),
    mutant(
        "An order that has ended is cancelled",
        _LIFECYCLE,
        "FROM held WHERE id = :order_id AND status = 'PROCESSING'",
        "FROM held WHERE id = :order_id AND status <> 'PENDING'",
        f"{_ORDERS}::test_an_order_that_has_ended_is_not_cancelled",
    ),
    # Messages (promise I14).
    mutant(
        "A message is believed without its row",
        _MESSAGES,
        "        return replace(reading, cause=Cause.UNKNOWN_EVENT)\n",
        "        return reading\n",
        _FORGED,
        f"{_UNTRUE}::test_an_order_that_does_not_exist_costs_one_look",
    ),
    mutant(
        "A message is believed about its order and its type",
        _MESSAGES,
        "    if (written.type, written.subject) != (event.type, event.subject):\n"
        "        return replace(reading, cause=Cause.ALTERED_EVENT)\n",
        "    if (written.type, written.subject) != (event.type, event.subject):\n        return reading\n",
        _FORGED,
    ),
    mutant(
        "A message is believed about its data",
        _MESSAGES,
        "    if ours.payload() != payload:\n",
        "    if False:\n",
        _FORGED,
    ),
    mutant(
        "A message is believed about its trace and its time",
        _MESSAGES,
        "    return replace(reading, event=ours, cause=",
        "    return replace(reading, cause=",
        f"{_UNTRUE}::test_a_webhook_says_what_was_written_and_not_what_the_message_says",
        f"{_UNTRUE}::test_an_execution_gets_the_orders_trace_and_not_the_messages",
    ),
    mutant(
        "What is not due yet happens",
        _MESSAGES,
        "cause=None if written.is_due else Cause.NOT_DUE)",
        "cause=None)",
        f"{_UNTRUE}::test_what_is_not_due_yet_does_not_happen",
    ),
    mutant(
        "Poison is deleted and kept nowhere",
        _CONSUMER,
        "        _sqs().send_message(\n",
        "        dict(\n",
        f"{_UNTRUE}::test_an_order_that_does_not_exist_costs_one_look",
    ),
    mutant(
        "An attempt's number is the message's",
        _ATTEMPTS,
        "row.attempts + 1 != number:",
        "row.attempts >= number:",
        f"{_UNTRUE}::test_an_attempt_that_is_not_the_deliverys_next_is_not_made",
    ),
    mutant(
        "An execution of no order is tried again and undone",
        _SAGA,
        '        raise OrderUnknown(f"there is no order {order_id}") from error\n',
        "        raise\n",
        f"{_STEPS}::test_an_execution_of_an_order_that_does_not_exist_ends_with_its_first_invocation",
    ),
    # Logs.
    mutant(
        "A log line is as long as what it is about",
        _OBSERVABILITY,
        "logger: Final = Logger(json_serializer=_line, use_rfc3339=True)\n",
        "logger: Final = Logger()\n",
        f"{_BOUNDS}::test_one_value_makes_a_short_line_of_json",
        f"{_BOUNDS}::test_a_validation_error_of_24_000_fields_makes_a_short_line",
    ),
    mutant(
        "The runtime gets the traceback",
        _OBSERVABILITY,
        "        return error.with_traceback(None)\n",
        "        return error\n",
        f"{_STEPS}::test_the_runtime_gets_the_errors_name_a_short_text_and_no_frame_of_ours",
    ),
    mutant(
        "Grants of an order do not wait for each other",
        _REFUNDS,
        'text("SELECT captured FROM payments WHERE order_id = :order_id FOR NO KEY UPDATE")',
        'text("SELECT captured FROM payments WHERE order_id = :order_id")',
        f"{_GRANTS}::test_of_twenty_grants_of_half_the_amount_at_once_two_succeed",
        f"{_GRANTS}::test_of_many_who_return_the_same_unit_one_succeeds",
    ),
    mutant(
        "Disputed money is granted",
        _REFUNDS,
        "       WHERE order_id = :order_id AND status IN ('OPEN', 'LOST'))",
        "       WHERE order_id = :order_id AND status IN ('NONE'))",
        f"{_GRANTS}::test_disputed_money_is_not_granted",
    ),
    mutant(
        "A unit is refunded twice",
        _REFUNDS,
        "        if quantity > sold[product_id].units_left:\n",
        "        if quantity > 100:\n",
        f"{_GRANTS}::test_a_unit_is_refunded_once",
    ),
    mutant(
        "Money that was given back is recorded again",
        _REFUNDS,
        "    WHERE refunds.id = :refund_id AND refunded_at IS NULL AND orders.id = order_id\n",
        "    WHERE refunds.id = :refund_id AND orders.id = order_id\n",
        f"{_REFUND_STEPS}::test_two_executions_at_once_refund_once",
    ),
    mutant(
        "Units come back again",
        _REFUNDS,
        "AND restock AND restocked_at IS NULL AND status = 'REQUESTED'",
        "AND restock AND status = 'REQUESTED'",
        f"{_REFUND_STEPS}::test_two_executions_at_once_refund_once",
    ),
    mutant(
        "A refund is completed before its money is back",
        _REFUNDS,
        "          AND refunded_at IS NOT NULL AND (restocked_at",
        "          AND (restocked_at",
        f"{_REFUND_STEPS}::test_nothing_is_said_before_money_and_stock_are_back",
    ),
    mutant(
        "A refund is rejected although its money may have moved",
        "functions/operations/refunds/desk.py",
        "        if given_back > payment.refunded:\n",
        "        if given_back < 0:\n",
        "tests/integration/operations/test_refunds.py::test_what_the_provider_has_given_back_is_not_rejected",
    ),
    mutant(
        "A client writes into the log by its traceparent",
        _TRACING,
        "candidate is not None and _TRACEPARENT.fullmatch(candidate) else None",
        "candidate is not None and _TRACEPARENT.match(candidate) else None",
        "tests/unit/test_tracing.py::test_a_malformed_header_is_ignored",
    ),
    mutant(
        "An error that is logged names the payment method",
        "layers/payment_simulator/python/payment_simulator/gateway.py",
        '"the payment failed technically"',
        'f"{charge.method} failed technically"',
        "tests/integration/saga/test_handlers.py::test_no_personal_data_is_logged_counted_answered_or_published",
    ),
    mutant(
        "A message is sent without its trace",
        "functions/outbox_relay/publisher.py",
        "message_attributes(message.event.traceparent)",
        "message_attributes(None)",
        "tests/unit/test_publisher.py::test_a_batch_is_one_call_to_its_queue_each_message_with_its_events_trace",
    ),
    mutant(
        "An execution starts without its trace",
        "layers/shared/python/orders/executions.py",
        '{"traceHeader": header} if header else {}',
        "{}",
        "tests/integration/start_saga/test_messages.py::test_an_execution_goes_on_in_the_trace_of_its_event",
    ),
    mutant(
        "The next message of a batch is logged under the trace of the last",
        _CONSUMER,
        '            trace_id=trace_id(_traceparent(record) or ""),\n',
        "",
        f"{_UNTRUE}::test_each_message_of_a_batch_is_logged_under_its_own_trace",
    ),
    mutant(
        "The database's certificate is not verified",
        "layers/shared/python/orders/db.py",
        '"ssl_context": ssl.create_default_context()',
        '"ssl_context": ssl._create_unverified_context()',
        "tests/integration/db/test_over_network.py::test_a_server_of_another_authority_is_refused",
    ),
    mutant(
        "A password that was rotated is not read again",
        "layers/shared/python/orders/db.py",
        "        return renewed().connect()\n",
        "        raise\n",
        "tests/integration/db/test_over_network.py::test_a_password_that_was_rotated_is_read_again",
    ),
    mutant(
        "The migrations of a release before stop at the tables of a later one",
        "functions/migrate/migrate.py",
        "    if current is None or current in known:\n",
        "    if True:\n",
        "tests/integration/migrate/test_upgrade.py::test_tables_of_a_later_release_stay_as_they_are",
    ),
    mutant(
        "A first deploy protects what it may have to take back",
        "infra/stages.py",
        "        return self.keeps_data and not self.is_first_deploy\n",
        "        return self.keeps_data\n",
        "tests/infra/test_data_stack.py::test_the_first_deploy_protects_nothing_so_that_it_can_fail",
    ),
    mutant(
        "What a first deploy that failed has made stays and keeps its name",
        "infra/stages.py",
        "RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if",
        "RemovalPolicy.RETAIN if",
        "tests/infra/test_data_stack.py::test_nothing_with_a_name_of_ours_stays_after_a_first_deploy_that_failed",
        "tests/infra/test_stack.py::test_a_first_deploy_that_failed_can_be_repeated",
    ),
)
