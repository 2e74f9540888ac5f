"""How the publisher reads what SQS answers: whose fault a failure is decides whether an event may die of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from functions.outbox_relay.messages import Batch, QueueMessage, compose
from functions.outbox_relay.outcomes import EventRefused, Outcome, Published, Undelivered
from functions.outbox_relay.publisher import SqsPublisher
from orders.events import Queue
from tests.unit.test_relay import an_event

QUEUE_URLS = {queue: f"https://sqs/{queue}" for queue in Queue}

Entry = dict[str, Any]


def confirm(entry: Entry) -> dict[str, Any]:
    return {"Successful": [{"Id": entry["Id"]}]}


def fail(code: str, *, sender_fault: bool) -> Callable[[Entry], dict[str, Any]]:
    return lambda entry: {"Failed": [{"Id": entry["Id"], "Code": code, "SenderFault": sender_fault}]}


def refuse_call(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "quotes the body"}}, "SendMessageBatch")


@dataclass
class FakeSqs:
    """SQS with a poison entry, or with an error for every call."""

    answer: Callable[[Entry], dict[str, Any]] = confirm
    error: Exception | None = None
    poison: UUID | None = None
    poison_error: Exception = field(default_factory=lambda: refuse_call("InvalidMessageContents"))
    fails_after: int = 1000
    calls: list[tuple[str, list[Entry]]] = field(default_factory=list)

    def send_message_batch(self, QueueUrl: str, Entries: list[Entry]) -> dict[str, Any]:  # noqa: N803
        self.calls.append((QueueUrl, Entries))
        if self.error:
            raise self.error
        if len(self.calls) > self.fails_after:
            raise EndpointConnectionError(endpoint_url="https://sqs")
        if any(entry["Id"] == str(self.poison) for entry in Entries):
            raise self.poison_error
        answer: dict[str, Any] = {}
        for entry in Entries:
            for key, results in self.answer(entry).items():
                answer.setdefault(key, []).extend(results)
        return answer


def a_batch(size: int = 3) -> Batch:
    messages = [compose(an_event()) for _ in range(size)]
    return Batch(
        Queue.ORDER_PROCESSING, tuple(message for message in messages if isinstance(message, QueueMessage))
    )


def send(sqs: FakeSqs, batch: Batch) -> list[Outcome]:
    return SqsPublisher(cast(Any, sqs), QUEUE_URLS).send(batch)


@pytest.mark.parametrize("traceparent", ["", "trace", "Root=1-0af76519-16cd43dd8448eb211c80319c", "00-é-01"])
def test_an_event_with_a_malformed_trace_is_sent_without_one(traceparent: str) -> None:
    # SQS would refuse the message for the attribute, again and again.
    message = compose(replace(an_event(), traceparent=traceparent))
    assert isinstance(message, QueueMessage)
    sqs = FakeSqs()
    send(sqs, Batch(Queue.ORDER_PROCESSING, (message,)))
    ((_, (entry,)),) = sqs.calls
    assert entry["MessageSystemAttributes"] == {}


def test_a_batch_is_one_call_to_its_queue_each_message_with_its_events_trace() -> None:
    sqs, batch = FakeSqs(), a_batch()
    assert send(sqs, batch) == [Published(message.event) for message in batch.messages]
    ((url, entries),) = sqs.calls
    assert url == "https://sqs/order-processing"
    assert entries[0] == {
        "Id": str(batch.messages[0].event.id),
        "MessageBody": batch.messages[0].body,
        "MessageAttributes": {
            "type": {"DataType": "String", "StringValue": "com.orders.order.created.v1"},
        },
        "MessageSystemAttributes": {
            "AWSTraceHeader": {
                "DataType": "String",
                "StringValue": "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1",
            },
        },
    }


def test_an_entry_that_the_answer_leaves_out_is_not_published() -> None:
    batch = a_batch(1)
    assert send(FakeSqs(answer=lambda entry: {}), batch) == [
        Undelivered(batch.messages[0].event, "NotInAnswer")
    ]


def test_an_entry_refused_as_the_senders_fault_is_refused() -> None:
    batch = a_batch(1)
    sqs = FakeSqs(answer=fail("InvalidMessageContents", sender_fault=True))
    assert send(sqs, batch) == [EventRefused(batch.messages[0].event, "InvalidMessageContents")]


@pytest.mark.parametrize(
    ("code", "sender_fault"),
    [
        ("InternalError", False),
        ("ServiceUnavailable", False),
        ("RequestThrottled", True),
        ("ThrottlingException", True),
        ("KmsThrottled", True),
        ("KMS.AccessDeniedException", True),
        ("AccessDenied", True),
    ],
)
def test_an_entry_that_fails_for_what_passes_is_undelivered(code: str, sender_fault: bool) -> None:
    batch = a_batch(1)
    sqs = FakeSqs(answer=fail(code, sender_fault=sender_fault))
    assert send(sqs, batch) == [Undelivered(batch.messages[0].event, code)]


def test_some_entries_fail_and_the_others_are_published() -> None:
    batch = a_batch(3)
    unlucky = str(batch.messages[1].event.id)
    internal_error = fail("InternalError", sender_fault=False)
    sqs = FakeSqs(answer=lambda entry: internal_error(entry) if entry["Id"] == unlucky else confirm(entry))
    assert [type(outcome) for outcome in send(sqs, batch)] == [Published, Undelivered, Published]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refuse_call("RequestThrottled"), "RequestThrottled"),
        (refuse_call("ServiceUnavailable"), "ServiceUnavailable"),
        (refuse_call("AWS.SimpleQueueService.NonExistentQueue"), "NonExistentQueue"),
        (refuse_call("AccessDenied"), "AccessDenied"),
        (refuse_call("ExpiredToken"), "ExpiredToken"),
        (refuse_call("NeverHeardOfIt"), "NeverHeardOfIt"),
        (EndpointConnectionError(endpoint_url="https://sqs"), "EndpointConnectionError"),
        (ReadTimeoutError(endpoint_url="https://sqs"), "ReadTimeoutError"),
        (ConnectionClosedError(endpoint_url="https://sqs"), "ConnectionClosedError"),
        (NoCredentialsError(), "NoCredentialsError"),
    ],
)
def test_a_call_that_fails_leaves_all_its_events_undelivered(
    error: ClientError | BotoCoreError, code: str
) -> None:
    sqs, batch = FakeSqs(error=error), a_batch()
    assert send(sqs, batch) == [Undelivered(message.event, code) for message in batch.messages]
    assert len(sqs.calls) == 1


@pytest.mark.parametrize(
    "code",
    [
        "InvalidMessageContents",
        "InvalidParameterValue",
        "BatchRequestTooLong",
        "AWS.SimpleQueueService.BatchRequestTooLong",
    ],
)
def test_a_call_refused_for_its_content_blames_only_the_message_that_is_refused_alone(code: str) -> None:
    batch = a_batch(4)
    poison = batch.messages[2].event
    outcomes = send(FakeSqs(poison=poison.id, poison_error=refuse_call(code)), batch)
    assert [type(outcome) for outcome in outcomes] == [Published, Published, EventRefused, Published]
    assert outcomes[2] == EventRefused(poison, code.removeprefix("AWS.SimpleQueueService."))


def test_an_outage_in_the_search_for_the_poison_ends_it() -> None:
    batch = a_batch(5)
    sqs = FakeSqs(poison=batch.messages[0].event.id, fails_after=3)
    outcomes = send(sqs, batch)
    assert [type(outcome) for outcome in outcomes] == [
        EventRefused,
        Published,
        Undelivered,
        Undelivered,
        Undelivered,
    ]
    assert [outcome.event for outcome in outcomes] == [message.event for message in batch.messages]
    assert len(sqs.calls) == 4


def test_the_client_is_made_for_as_many_threads_as_send(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher = SqsPublisher.connect(QUEUE_URLS, connections=17)
    config = cast(Any, publisher)._client.meta.config
    assert config.max_pool_connections == 17
    assert config.retries["total_max_attempts"] == 2
