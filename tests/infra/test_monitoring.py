"""What only a person can put right calls one."""

import json
import re
from typing import Any

import pytest

from orders.contract import Metric
from orders.events import Queue
from tests.infra.stacks import CALL_PAYMENT_PROVIDER, ROOT, SynthesizedStack

MINUTE_SECONDS = 60
RUNBOOK = ROOT / "docs" / "operations.md"


def all_alarms(stack: SynthesizedStack) -> list[dict[str, Any]]:
    """Those over metrics and those over alarms."""
    return [
        *stack.of_type("AWS::CloudWatch::Alarm").values(),
        *stack.of_type("AWS::CloudWatch::CompositeAlarm").values(),
    ]


def alarm(stack: SynthesizedStack, name: str) -> dict[str, Any]:
    """The alarm of a short name."""
    (properties,) = [
        properties
        for properties in stack.of_type("AWS::CloudWatch::Alarm").values()
        if stack.short(properties["AlarmName"]) == name
    ]
    return properties


def dimensions(properties: dict[str, Any]) -> dict[str, Any]:
    return {dimension["Name"]: dimension["Value"] for dimension in properties["Dimensions"]}


def fires_on_the_first(properties: dict[str, Any]) -> bool:
    """Whether one such event within a minute is enough."""
    return bool(
        properties["Threshold"] == 1
        and properties["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        and properties["EvaluationPeriods"] == 1
        and properties["Period"] == MINUTE_SECONDS
        and properties["TreatMissingData"] == "notBreaching"
    )


@pytest.mark.parametrize("queue", Queue)
def test_a_message_in_a_dlq_calls(stack: SynthesizedStack, queue: str) -> None:
    properties = alarm(stack, f"{queue}-dlq")
    assert fires_on_the_first(properties)
    assert properties["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert properties["Statistic"] == "Maximum"
    assert stack.name_of(dimensions(properties)["QueueName"]) == f"queue {queue}-dlq"


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("failed", "ExecutionsFailed"),
        ("timed-out", "ExecutionsTimedOut"),
        ("aborted", "ExecutionsAborted"),
    ],
)
@pytest.mark.parametrize(
    ("machine", "resource"), [("saga", "state machine"), ("refund", "refund state machine")]
)
def test_an_execution_without_an_end_for_its_order_or_refund_calls(
    stack: SynthesizedStack, machine: str, resource: str, name: str, metric: str
) -> None:
    properties = alarm(stack, f"{machine}-{name}")
    assert fires_on_the_first(properties)
    assert properties["MetricName"] == metric
    assert properties["Statistic"] == "Sum"
    assert stack.name_of(dimensions(properties)["StateMachineArn"]) == resource


@pytest.mark.parametrize(
    ("name", "metric", "emitter"),
    [
        ("orders-needing-review", Metric.ORDERS_NEEDING_REVIEW, "mark-cancelled"),
        ("refunds-needing-review", Metric.REFUNDS_NEEDING_REVIEW, "refund-steps"),
        ("refunds-given-up", Metric.REFUNDS_NEEDING_REVIEW, "maintenance"),
        ("outbox-dead", Metric.OUTBOX_DEAD, "outbox-relay"),
        ("orders-given-up", Metric.ORDERS_NEEDING_REVIEW, "maintenance"),
        ("payment-conflict-maintenance", Metric.PAYMENT_CONFLICTS, "maintenance"),
        ("payment-conflict-payment-events", Metric.PAYMENT_CONFLICTS, "payment-events"),
        *(
            (f"payment-circuit-open-{caller}", Metric.CIRCUIT_OPENED, caller)
            for caller in sorted(CALL_PAYMENT_PROVIDER)
        ),
        ("payment-conflict-provider-events", Metric.PAYMENT_CONFLICTS, "provider-events"),
        ("payment-dispute-opened", Metric.PAYMENT_DISPUTES_OPENED, "provider-events"),
        ("payment-dispute-lost", Metric.PAYMENT_DISPUTES_LOST, "provider-events"),
        ("notifications-uncertain", Metric.NOTIFICATIONS_UNCERTAIN, "notify"),
        ("notifications-stage-limit", Metric.STAGE_LIMIT_REACHED, "notify"),
        ("webhooks-disabled", Metric.WEBHOOKS_DISABLED, "deliver-webhooks"),
        ("low-stock", Metric.LOW_STOCK_ALERTS, "inventory-events"),
    ],
)
def test_what_a_function_counts_as_lost_calls(
    stack: SynthesizedStack, name: str, metric: str, emitter: str
) -> None:
    properties = alarm(stack, name)
    assert fires_on_the_first(properties)
    assert properties["MetricName"] == metric
    assert properties["Statistic"] == "Sum"
    assert emitted_by(stack, properties) == emitter


@pytest.mark.parametrize("caller", sorted(CALL_PAYMENT_PROVIDER))
def test_a_key_that_the_payment_provider_refuses_calls(prod: SynthesizedStack, caller: str) -> None:
    properties = alarm(prod, f"payment-key-refused-{caller}")
    assert fires_on_the_first(properties)
    assert properties["MetricName"] == Metric.STRIPE_AUTHENTICATION_FAILED
    assert emitted_by(prod, properties) == caller


def test_events_that_wait_for_minutes_call(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "outbox-lag")
    assert properties["MetricName"] == Metric.OUTBOX_LAG
    assert properties["Statistic"] == "Maximum"
    assert properties["Threshold"] == 2 * MINUTE_SECONDS * 1_000
    assert emitted_by(stack, properties) == "outbox-relay"


def test_a_relay_that_never_starts_calls_although_it_reports_nothing(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "relay-stopped")
    assert properties["MetricName"] == "Invocations"
    assert stack.name_of(dimensions(properties)["FunctionName"]) == "function outbox-relay"
    assert (properties["ComparisonOperator"], properties["Threshold"]) == ("LessThanThreshold", 1)
    assert properties["TreatMissingData"] == "breaching"


def test_maintenance_that_keeps_failing_calls(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "maintenance-failed")
    assert properties["MetricName"] == Metric.MAINTENANCE_FAILED
    assert properties["EvaluationPeriods"] == 5
    assert emitted_by(stack, properties) == "maintenance"


def test_maintenance_that_never_starts_calls(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "maintenance-stopped")
    assert properties["MetricName"] == "Invocations"
    assert stack.name_of(dimensions(properties)["FunctionName"]) == "function maintenance"
    assert properties["TreatMissingData"] == "breaching"


@pytest.mark.parametrize("function", ["outbox-relay", "maintenance"])
def test_what_nobody_waits_for_and_fails_calls(stack: SynthesizedStack, function: str) -> None:
    """Nobody gets its errors: a run that fails is followed by the next one, which fails too."""
    properties = alarm(stack, f"{function}-errors")
    assert (properties["Namespace"], properties["MetricName"]) == ("AWS/Lambda", "Errors")
    assert stack.name_of(dimensions(properties)["FunctionName"]) == f"function {function}"
    assert properties["Threshold"] * properties["DatapointsToAlarm"] > 1


def test_events_that_sqs_keeps_refusing_call(stack: SynthesizedStack) -> None:
    """A right that is missing, a queue that is gone: the relay tries again and again, and loses nothing."""
    properties = alarm(stack, "outbox-retries")
    assert properties["MetricName"] == Metric.OUTBOX_RETRIED
    assert properties["EvaluationPeriods"] == 5
    assert emitted_by(stack, properties) == "outbox-relay"


def test_events_that_nobody_publishes_are_noticed_by_somebody_else_than_the_relay(
    stack: SynthesizedStack,
) -> None:
    properties = alarm(stack, "outbox-waiting")
    assert properties["MetricName"] == Metric.OUTBOX_WAITING
    assert properties["Statistic"] == "Maximum"
    assert emitted_by(stack, properties) == "maintenance"
    assert properties["TreatMissingData"] == "breaching"


def test_many_messages_that_are_not_sent_call(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "notifications-suppressed")
    assert properties["MetricName"] == Metric.NOTIFICATIONS_SUPPRESSED
    assert properties["Threshold"] > 1
    assert emitted_by(stack, properties) == "notify"


@pytest.mark.parametrize(
    ("name", "metric"),
    [("mails-bounced", Metric.MAILS_BOUNCED), ("mails-complained", Metric.MAILS_COMPLAINED)],
)
def test_many_mails_that_are_not_wanted_call(stack: SynthesizedStack, name: str, metric: str) -> None:
    properties = alarm(stack, name)
    assert (properties["MetricName"], properties["Statistic"]) == (metric, "Sum")
    assert 1 < properties["Threshold"] <= 10
    assert emitted_by(stack, properties) == "mail-feedback"


@pytest.mark.parametrize(
    ("name", "metric", "most"),
    [
        ("mail-bounce-rate", "Reputation.BounceRate", 0.05),
        ("mail-complaint-rate", "Reputation.ComplaintRate", 0.001),
    ],
)
def test_a_rate_by_which_ses_would_stop_the_account_calls(
    stack: SynthesizedStack, name: str, metric: str, most: float
) -> None:
    properties = alarm(stack, name)
    assert (properties["Namespace"], properties["MetricName"]) == ("AWS/SES", metric)
    assert "Dimensions" not in properties
    assert 0 < properties["Threshold"] <= most


def test_text_messages_that_have_cost_most_of_their_limit_call(prod: SynthesizedStack) -> None:
    properties = alarm(prod, "sms-spending")
    assert (properties["Namespace"], properties["MetricName"]) == ("AWS/SNS", "SMSMonthToDateSpentUSD")
    assert "Dimensions" not in properties
    assert prod.stage.sms_monthly_usd is not None
    assert 0 < properties["Threshold"] < prod.stage.sms_monthly_usd


def test_an_api_that_fails_calls(stack: SynthesizedStack) -> None:
    assert alarm(stack, "api-5xx")["MetricName"] == "5xx"


def test_every_alarm_reaches_the_topic_and_says_what_to_make_of_it(stack: SynthesizedStack) -> None:
    (topic,) = (
        logical_id
        for logical_id, properties in stack.of_type("AWS::SNS::Topic").items()
        if stack.short(properties["TopicName"]) == "alarms"
    )
    for properties in all_alarms(stack):
        assert properties["AlarmActions"] == [{"Ref": topic}]
        assert properties["OKActions"] == [{"Ref": topic}]
        assert properties["AlarmDescription"]


def test_every_alarm_has_its_section_in_the_runbook(stack: SynthesizedStack) -> None:
    runbook = RUNBOOK.read_text(encoding="utf-8")
    headings = "".join(line for line in runbook.splitlines() if line.startswith("### "))
    alarms = {stack.short(properties["AlarmName"]) for properties in all_alarms(stack)}
    assert {name for name in alarms if f"`{name}`" not in headings} == set()


def test_locally_no_alarm_is_metric_math_or_composite(local: SynthesizedStack) -> None:
    """Which the local cloud does not know."""
    assert all("Metrics" not in properties for properties in local.of_type("AWS::CloudWatch::Alarm").values())
    assert local.of_type("AWS::CloudWatch::CompositeAlarm") == {}


def watched(stack: SynthesizedStack, namespace: str, metric: str) -> set[str]:
    """What has an alarm on that metric, by itself or with others."""
    return {
        stack.name_of(value)
        for properties in stack.of_type("AWS::CloudWatch::Alarm").values()
        for one in _metrics(properties)
        if (one["Namespace"], one["MetricName"]) == (namespace, metric)
        for value in dimensions(one).values()
    }


def _metrics(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """The alarm's own metric, or those of its expression."""
    if "Metrics" not in properties:
        return [properties]
    return [one["MetricStat"]["Metric"] for one in properties["Metrics"] if "MetricStat" in one]


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_every_function_has_an_alarm_for_errors_and_for_throttles(
    managed: SynthesizedStack, metric: str
) -> None:
    functions = {f"function {name}" for name in managed.functions}
    assert functions - watched(managed, "AWS/Lambda", metric) == set()


def test_every_queue_has_an_alarm_for_its_oldest_message_and_every_dlq_for_any(
    stack: SynthesizedStack,
) -> None:
    queues = {f"queue {name}" for name in stack.queues}
    dlqs = {name for name in queues if name.endswith("-dlq")}
    assert watched(stack, "AWS/SQS", "ApproximateAgeOfOldestMessage") == queues - dlqs
    assert watched(stack, "AWS/SQS", "ApproximateNumberOfMessagesVisible") == dlqs


@pytest.mark.parametrize("metric", ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"])
def test_every_state_machine_has_an_alarm_for_each_bad_end(stack: SynthesizedStack, metric: str) -> None:
    machines = {
        stack.name_of({"Ref": logical_id}) for logical_id in stack.of_type("AWS::StepFunctions::StateMachine")
    }
    assert watched(stack, "AWS/States", metric) == machines


@pytest.mark.parametrize("queue", Queue)
def test_messages_that_wait_too_long_call(stack: SynthesizedStack, queue: str) -> None:
    properties = alarm(stack, f"{queue}-age")
    # No less than two deliveries of one message, and no more than all five.
    delivery = stack.queues[queue]["VisibilityTimeout"]
    assert 1.5 * delivery <= properties["Threshold"]
    assert properties["Threshold"] == (300 if queue == Queue.ORDER_PROCESSING else 900)
    assert properties["Statistic"] == "Maximum"


def test_slow_requests_call(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "api-latency")
    assert (properties["MetricName"], properties["ExtendedStatistic"]) == ("Latency", "p99")
    assert properties["Threshold"] == 3_000


def test_a_migration_that_fails_calls(stack: SynthesizedStack) -> None:
    properties = alarm(stack, "migrate-errors")
    assert fires_on_the_first(properties)
    assert stack.name_of(dimensions(properties)["FunctionName"]) == "function migrate"


def test_an_alarm_over_many_functions_names_them_and_takes_what_cloudwatch_allows(
    managed: SynthesizedStack,
) -> None:
    """Ten metrics, and no SEARCH, which alarms refuse."""
    over_many = [
        properties
        for properties in managed.of_type("AWS::CloudWatch::Alarm").values()
        if "Metrics" in properties
    ]
    assert over_many
    for properties in over_many:
        assert len(_metrics(properties)) <= 10
        (expression,) = [one["Expression"] for one in properties["Metrics"] if "Expression" in one]
        assert "SEARCH" not in expression
        for one in _metrics(properties):
            name = managed.name_of(dimensions(one)["FunctionName"]).removeprefix("function ")
            assert name in properties["AlarmDescription"]


def test_customers_cards_that_are_declined_call_nobody(managed: SynthesizedStack) -> None:
    """Such an order is an error of its step to Lambda: only most calls of many are one to us."""
    refusing = {"verify-stock", "reserve-inventory", "process-payment"}
    for properties in managed.of_type("AWS::CloudWatch::Alarm").values():
        names = {
            managed.name_of(dimensions(one)["FunctionName"]).removeprefix("function ")
            for one in _metrics(properties)
            if (one["Namespace"], one["MetricName"]) == ("AWS/Lambda", "Errors")
        }
        if names & refusing:
            assert managed.short(properties["AlarmName"]) == "steps-errors"
            (expression,) = [one["Expression"] for one in properties["Metrics"] if "Expression" in one]
            assert "IF(calls0 >= 10, errors0 / calls0, 0)" in expression
            assert properties["Threshold"] == 0.5


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("database-cpu", "CPUUtilization"),
        ("database-capacity", "ACUUtilization"),
        ("database-connections", "DatabaseConnections"),
        ("database-storage", "VolumeBytesUsed"),
        ("database-proxy-waits", "DatabaseConnectionsBorrowLatency"),
        ("database-proxy-refused", "DatabaseConnectionsSetupFailed"),
    ],
)
def test_a_database_at_its_limits_calls(managed: SynthesizedStack, name: str, metric: str) -> None:
    properties = alarm(managed, name)
    assert (properties["Namespace"], properties["MetricName"]) == ("AWS/RDS", metric)
    (dimension,) = dimensions(properties)
    assert dimension == ("ProxyName" if "proxy" in name else "DBClusterIdentifier")


def test_connections_call_before_the_smallest_database_that_may_grow_refuses_them(
    managed: SynthesizedStack,
) -> None:
    assert managed.stage.database is not None
    threshold = alarm(managed, "database-connections")["Threshold"]
    assert threshold == 90 * managed.stage.database.max_capacity


def test_orders_that_do_not_move_call_whichever_station_they_wait_at(managed: SynthesizedStack) -> None:
    properties = managed.the("AWS::CloudWatch::CompositeAlarm")
    assert managed.short(properties["AlarmName"]) == "orders-not-moving"
    by_id = {
        logical_id: managed.short(one["AlarmName"])
        for logical_id, one in managed.of_type("AWS::CloudWatch::Alarm").items()
    }
    (_, parts) = properties["AlarmRule"]["Fn::Join"]
    stations = {by_id[part["Fn::GetAtt"][0]] for part in parts if isinstance(part, dict)}
    assert stations == {
        "relay-stopped",
        "outbox-lag",
        "outbox-waiting",
        "order-processing-age",
        "consumers-errors",
        "steps-errors",
        "completion-errors",
        "payment-circuit-open-process-payment",
    }
    assert all(part.replace("ALARM", "").strip('(") ORDALM') == "" for part in parts if isinstance(part, str))
    assert all(station in properties["AlarmDescription"] for station in stations)


def test_every_alarm_leads_to_its_section_of_the_runbook(stack: SynthesizedStack) -> None:
    anchors = {
        re.sub(r"[^a-z0-9 _-]", "", line.removeprefix("### ").lower()).replace(" ", "-")
        for line in RUNBOOK.read_text(encoding="utf-8").splitlines()
        if line.startswith("### ")
    }
    for properties in all_alarms(stack):
        _, _, anchor = properties["AlarmDescription"].partition(" Runbook: docs/operations.md#")
        assert anchor in anchors
        assert stack.short(properties["AlarmName"]) in anchor
        assert len(properties["AlarmDescription"]) <= 1024


def test_the_dashboard_shows_the_way_of_an_order(stack: SynthesizedStack) -> None:
    body = stack.the("AWS::CloudWatch::Dashboard")["DashboardBody"]
    text = json.dumps(body)
    for metric in ("Latency", Metric.OUTBOX_LAG, "ApproximateAgeOfOldestMessage", "ExecutionsSucceeded"):
        assert metric in text


def emitted_by(stack: SynthesizedStack, properties: dict[str, Any]) -> str:
    """The function whose metric an alarm watches.

    Powertools writes the service's name as the one dimension, so the alarm only sees the metric if both are the same.
    """
    assert properties["Namespace"] == "Orders"
    (service,) = dimensions(properties).values()
    assert list(dimensions(properties)) == ["service"]
    name = stack.name_of(service).removeprefix("function ")
    environment = stack.environment(name)
    assert environment["POWERTOOLS_SERVICE_NAME"] == stack.functions[name]["FunctionName"]
    assert environment["POWERTOOLS_METRICS_NAMESPACE"] == "Orders"
    return name
