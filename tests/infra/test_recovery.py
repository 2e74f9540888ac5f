"""Somebody looks after what is stuck, every minute."""

from functions.maintenance.deadline import ORDER_SECONDS, PAYMENT_SECONDS, TRANSACTION_SECONDS
from functions.maintenance.stuck_orders import CHECK_INTERVAL_SECONDS, PATIENCE_SECONDS
from tests.infra.stacks import SynthesizedStack

MINUTE_SECONDS = 60


def test_a_round_starts_every_minute_and_none_is_repeated(stack: SynthesizedStack) -> None:
    schedule = stack.schedules["maintenance"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["State"] == "ENABLED"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0


def test_a_round_has_time_for_its_longest_work_many_times_over(stack: SynthesizedStack) -> None:
    longest = TRANSACTION_SECONDS + max(ORDER_SECONDS, PAYMENT_SECONDS)
    assert stack.functions["maintenance"]["Timeout"] >= 2 * longest


def test_a_dead_saga_is_resumed_within_two_minutes(stack: SynthesizedStack) -> None:
    assert max(PATIENCE_SECONDS, CHECK_INTERVAL_SECONDS) + MINUTE_SECONDS < 2 * MINUTE_SECONDS


def test_rounds_may_overlap(stack: SynthesizedStack) -> None:
    assert "ReservedConcurrentExecutions" not in stack.functions["maintenance"]
