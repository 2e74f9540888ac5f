"""Each alarm on what functions count has a test in which its metric moves under its fault."""

import fnmatch
from typing import Final

import pytest

from orders.contract import METRICS_NAMESPACE
from tests.infra.stacks import ROOT, SynthesizedStack
from tests.support.named_tests import is_test

_INTEGRATION: Final = "tests/integration"
_NEEDS_REVIEW: Final = "test_an_order_that_needs_review_is_counted_until_the_call_comes_through"
_CONFLICT: Final = (
    "test_where_no_rule_says_who_is_right_it_is_recorded_for_an_operator_and_nothing_is_touched"
)

FAULTS: Final = {
    "orders-needing-review": ("OrdersNeedingReview", f"saga/test_handlers.py::{_NEEDS_REVIEW}"),
    "orders-given-up": (
        "OrdersNeedingReview",
        "maintenance/test_stuck_orders.py::test_an_order_that_cannot_be_helped_needs_review",
    ),
    "refunds-needing-review": (
        "RefundsNeedingReview",
        "refunds/test_steps.py::test_a_provider_that_stays_down_needs_an_operator",
    ),
    "refunds-given-up": (
        "RefundsNeedingReview",
        "maintenance/test_stuck_refunds.py::test_after_many_executions_an_operator_is_asked",
    ),
    "outbox-dead": (
        "OutboxDead",
        "relay/test_relaying.py::test_poison_dies_of_its_refusals_while_everything_around_it_is_published",
    ),
    "outbox-retries": (
        "OutboxRetried",
        "relay/test_relaying.py::test_a_call_that_fails_is_an_outage_and_kills_nothing",
    ),
    "outbox-lag": ("OutboxLag", "relay/test_relaying.py::test_an_event_that_waited_for_minutes_says_so"),
    "outbox-waiting": (
        "OutboxWaiting",
        "maintenance/test_outbox_watch.py::test_an_event_that_is_due_waits_longer_and_longer",
    ),
    "payment-conflict-maintenance": (
        "PaymentConflicts",
        "maintenance/test_payments.py"
        "::test_money_for_a_confirmed_order_that_no_step_has_recorded_is_counted_for_an_operator",
    ),
    "payment-conflict-payment-events": (
        "PaymentConflicts",
        f"payment_events/test_reconciliation.py::{_CONFLICT}",
    ),
    "payment-conflict-provider-events": (
        "PaymentConflicts",
        "provider_events/test_look.py"
        "::test_a_refund_that_we_know_and_the_provider_does_not_is_shown_to_an_operator",
    ),
    "payment-dispute-opened": (
        "PaymentDisputesOpened",
        "provider_events/test_look.py::test_a_dispute_is_recorded_and_counted_once",
    ),
    "payment-dispute-lost": (
        "PaymentDisputesLost",
        "provider_events/test_look.py::test_its_end_is_recorded_whatever_order_the_events_come_in",
    ),
    "payment-circuit-open-*": (
        "CircuitOpened",
        "breaker/test_breaker.py::test_a_circuit_that_opens_refuses_and_closes_is_counted",
    ),
    "payment-key-refused-*": (
        "StripeAuthenticationFailed",
        "payment_stripe/test_api.py::test_a_key_that_is_refused_calls_a_person_and_cancels_no_order",
    ),
    "payment-webhooks-refused": (
        "PaymentWebhooksRefused",
        "payment_webhooks/test_intake.py::test_a_refusal_is_counted",
    ),
    "webhooks-disabled": (
        "WebhooksDisabled",
        "deliver_webhooks/test_deliver.py::test_what_becomes_of_an_attempt_is_counted",
    ),
    "low-stock": ("LowStockAlerts", "inventory_events/test_low_stock.py::test_an_alert_is_counted"),
    "notifications-uncertain": (
        "NotificationsUncertain",
        "notify/test_notify.py"
        "::test_a_mail_whose_sender_was_killed_is_never_sent_again_and_an_operator_decides",
    ),
    "notifications-stage-limit": (
        "StageLimitReached",
        "notify/test_limits.py::TestLimits::test_of_the_whole_stage_and_an_operator_hears_of_it",
    ),
    "notifications-suppressed": (
        "NotificationsSuppressed",
        "notify/test_limits.py::test_twenty_declined_orders_send_nothing_to_a_stranger",
    ),
    "mails-bounced": (
        "MailsBounced",
        "mail_feedback/test_mail_feedback.py::test_a_complaint_weighs_more_than_a_bounce",
    ),
    "mails-complained": (
        "MailsComplained",
        "mail_feedback/test_mail_feedback.py::test_a_complaint_weighs_more_than_a_bounce",
    ),
    "maintenance-failed": (
        "MaintenanceFailed",
        "maintenance/test_round.py::test_a_task_that_fails_is_counted_and_the_others_have_their_turn",
    ),
}
"""Of each alarm, or of those with one in each caller: its metric, and the test."""


def counted(stack: SynthesizedStack) -> dict[str, str]:
    """The alarms on our own metrics, with the metric of each."""
    return {
        stack.short(properties["AlarmName"]): properties["MetricName"]
        for properties in stack.of_type("AWS::CloudWatch::Alarm").values()
        if properties.get("Namespace") == METRICS_NAMESPACE
    }


def test_every_alarm_on_a_metric_of_ours_has_a_test_of_its_fault(stack: SynthesizedStack) -> None:
    alarms = counted(stack)
    assert alarms
    for name, metric in alarms.items():
        assert [FAULTS[known][0] for known in FAULTS if fnmatch.fnmatch(name, known)] == [metric], name


def test_no_test_is_named_for_an_alarm_that_is_not_there(prod: SynthesizedStack) -> None:
    alarms = counted(prod)
    assert [known for known in FAULTS if not fnmatch.filter(alarms, known)] == []


@pytest.mark.parametrize("alarm", FAULTS)
def test_the_test_of_the_fault_is_there_and_looks_at_the_metric(alarm: str) -> None:
    metric, test = FAULTS[alarm]
    assert is_test(f"{_INTEGRATION}/{test}")
    assert metric in (ROOT / _INTEGRATION / test.partition("::")[0]).read_text(encoding="utf-8")
