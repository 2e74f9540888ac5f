"""Mutants of what operators see and mend: payments, webhooks, messages, log lines and dead events."""

from typing import Final

from tests.mutants.mutant import Mutant, mutant

_NOTIFICATIONS: Final = "layers/shared/python/orders/notifications.py"
_LOGS: Final = "functions/operations/logs/reader.py"
_OUTBOX: Final = "functions/operations/outbox.py"
_PAYMENTS: Final = "functions/operations/payments.py"
_WEBHOOKS: Final = "functions/operations/webhooks.py"

_TESTS: Final = "tests/integration/operations"

OPERATORS: Final[tuple[Mutant, ...]] = (
    mutant(
        "A message that is on its way is asked for again",
        _NOTIFICATIONS,
        "    if status is NotificationStatus.QUEUED or (",
        "    if (",
        f"{_TESTS}/test_resend.py::test_what_is_asked_for_twice_is_sent_once",
    ),
    mutant(
        "A customer is told again of what is not true any more",
        _NOTIFICATIONS,
        "    if not notification.is_true_of(order_status):\n",
        "    if False:\n",
        f"{_TESTS}/test_resend.py::test_what_is_not_true_any_more_is_not_told_again",
    ),
    mutant(
        "A message that is sent again is counted against no limit",
        _NOTIFICATIONS,
        "SET status = 'QUEUED', attempts = 0,",
        "SET status = 'QUEUED',",
        f"{_TESTS}/test_resend.py::test_the_limits_of_an_hour_hold",
    ),
    mutant(
        "A delivery of another order is sent again",
        _WEBHOOKS,
        "WHERE delivery.id = :delivery_id AND delivery.order_id = :order_id\n",
        "WHERE delivery.id = :delivery_id\n",
        f"{_TESTS}/test_webhooks.py::test_a_delivery_of_another_order_or_of_none_is_not_found",
    ),
    mutant(
        "The URL of a webhook is shown with its secrets",
        _WEBHOOKS,
        """return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}\"""",
        "return url",
        f"{_TESTS}/test_webhooks.py::test_a_url_is_shown_without_what_may_be_a_secret_in_it",
    ),
    mutant(
        "Lines of other orders are shown, if a caller has given them one correlation id",
        _LOGS,
        "if is_named or (of_order is None and ",
        "if is_named or (",
        f"{_TESTS}/test_logs.py::test_what_is_of_another_order_is_not_shown_whatever_its_correlation_id",
    ),
    mutant(
        "The event that begins an order is discarded",
        _OUTBOX,
        "orders.id = subject AND orders.status = 'PENDING'",
        "orders.id = subject AND false",
        f"{_TESTS}/test_outbox.py::test_an_event_that_its_order_cannot_begin_without_is_kept",
    ),
    mutant(
        "An event that is not dead is discarded",
        _OUTBOX,
        "    WHERE id = :event_id AND status = 'DEAD'\n      AND NOT (",
        "    WHERE id = :event_id\n      AND NOT (",
        f"{_TESTS}/test_outbox.py::test_an_event_that_is_not_dead_is_not_discarded",
    ),
    mutant(
        "A conflict of the books is none",
        _PAYMENTS,
        "AND captured - refunded <> due.amount",
        "AND captured < due.amount",
        f"{_TESTS}/test_payments.py::test_books_that_disagree_with_the_order_s_end_are_in_conflict",
    ),
)
