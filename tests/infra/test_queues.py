"""No message is lost, and none blocks the others."""

from itertools import pairwise

import pytest

from functions.deliver_webhooks import attempts, deliver
from functions.notify import notify
from functions.provider_events import look as provider_events
from orders.events import Queue
from orders.executions import LONGEST_CALL_SECONDS
from orders.webhooks.states import MAX_WEBHOOKS
from tests.infra.stacks import SynthesizedStack

DAY_SECONDS = 24 * 3600


def test_these_are_the_queues_each_with_a_dead_letter_queue(stack: SynthesizedStack) -> None:
    assert set(stack.queues) == {name for queue in Queue for name in (queue, f"{queue}-dlq")}


@pytest.mark.parametrize("queue", Queue)
def test_a_poison_message_moves_to_its_own_dlq_after_five_deliveries(
    stack: SynthesizedStack, queue: str
) -> None:
    redrive = stack.queues[queue]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == 5
    assert stack.name_of(redrive["deadLetterTargetArn"]) == f"queue {queue}-dlq"


@pytest.mark.parametrize("queue", Queue)
def test_a_dead_letter_outlives_its_queue_s_retention(stack: SynthesizedStack, queue: str) -> None:
    retention = stack.queues[f"{queue}-dlq"]["MessageRetentionPeriod"]
    assert retention == 14 * DAY_SECONDS
    assert retention > stack.queues[queue]["MessageRetentionPeriod"]


def test_every_queue_is_encrypted_at_rest(stack: SynthesizedStack) -> None:
    assert all(queue["SqsManagedSseEnabled"] is True for queue in stack.queues.values())


def test_every_queue_refuses_what_is_not_encrypted_in_transit(stack: SynthesizedStack) -> None:
    protected = set()
    for policy in stack.of_type("AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny" and statement["Condition"] == {
                "Bool": {"aws:SecureTransport": "false"}
            }:
                assert statement["Action"] == "sqs:*"
                assert statement["Principal"] == {"AWS": "*"}
                protected.add(stack.name_of(statement["Resource"]))
    assert protected == {f"queue {name}" for name in stack.queues}


def test_who_consumes_what(stack: SynthesizedStack) -> None:
    assert {queue: function for queue, (function, _) in stack.consumers.items()} == {
        "order-processing": "start-saga",
        "payment-processing": "payment-events",
        "inventory-management": "inventory-events",
        "notification-sending": "notify",
        "webhook-delivery": "deliver-webhooks",
        "mail-feedback": "mail-feedback",
        "payment-webhooks": "provider-events",
    }


@pytest.mark.parametrize("queue", Queue)
def test_one_bad_message_fails_alone(stack: SynthesizedStack, queue: str) -> None:
    _, mapping = stack.consumers[queue]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BatchSize"] > 1 or queue == "webhook-delivery"


def test_a_customer_s_slow_server_holds_up_nobody_s_message(stack: SynthesizedStack) -> None:
    _, mapping = stack.consumers["webhook-delivery"]
    assert mapping["BatchSize"] == 1
    assert mapping["ScalingConfig"]["MaximumConcurrency"] > MAX_WEBHOOKS * attempts.MAX_UNDER_WAY


@pytest.mark.parametrize("queue", Queue)
def test_a_consumer_is_limited_by_its_event_source_and_never_throttled(
    stack: SynthesizedStack, queue: str
) -> None:
    function, mapping = stack.consumers[queue]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert "ReservedConcurrentExecutions" not in stack.functions[function]


@pytest.mark.parametrize("queue", Queue)
def test_a_message_stays_hidden_for_six_timeouts_of_its_consumer(stack: SynthesizedStack, queue: str) -> None:
    function, _ = stack.consumers[queue]
    assert stack.queues[queue]["VisibilityTimeout"] >= 6 * stack.functions[function]["Timeout"]


@pytest.mark.parametrize(
    ("function", "needed_seconds"),
    [
        ("start-saga", LONGEST_CALL_SECONDS),
        ("notify", notify.NEEDED_SECONDS),
        ("deliver-webhooks", deliver.NEEDED_SECONDS),
        ("provider-events", provider_events.NEEDED_SECONDS),
    ],
)
def test_a_consumer_has_time_for_more_than_one_message(
    stack: SynthesizedStack, function: str, needed_seconds: float
) -> None:
    """It begins none that it could not finish, so with less it would hand back every one."""
    assert stack.functions[function]["Timeout"] >= 2 * needed_seconds


def test_all_queues_hide_messages_alike(stack: SynthesizedStack) -> None:
    """So that a consumer added to one of them later finds it fit."""
    timeouts = [stack.queues[queue]["VisibilityTimeout"] for queue in Queue]
    assert all(one == other for one, other in pairwise(timeouts))
