"""There is always a relay alive."""

from tests.infra.stacks import SynthesizedStack

MINUTE_SECONDS = 60


def test_a_relay_starts_every_minute(stack: SynthesizedStack) -> None:
    schedule = stack.schedules["outbox-relay"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["State"] == "ENABLED"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert stack.name_of(schedule["Target"]["Arn"]) == "function outbox-relay"


def test_a_relay_works_until_the_next_one_has_started_and_is_then_let_finish(stack: SynthesizedStack) -> None:
    window = int(stack.environment("outbox-relay")["RELAY_WINDOW_SECONDS"])
    assert window > MINUTE_SECONDS
    assert stack.functions["outbox-relay"]["Timeout"] >= window + 20


def test_a_relay_that_failed_is_not_started_again_beside_the_next(stack: SynthesizedStack) -> None:
    retry = stack.schedules["outbox-relay"]["Target"]["RetryPolicy"]
    assert retry == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": MINUTE_SECONDS}
    (invoke,) = [
        config
        for config in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
        if stack.name_of(config["FunctionName"]) == "function outbox-relay"
    ]
    assert invoke["MaximumRetryAttempts"] == 0


def test_no_number_stands_in_the_way_of_overlapping_runs(stack: SynthesizedStack) -> None:
    assert "ReservedConcurrentExecutions" not in stack.functions["outbox-relay"]
