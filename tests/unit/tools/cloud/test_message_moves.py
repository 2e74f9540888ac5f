"""A dead-letter queue of the local cloud is redriven by SQS itself, as on AWS."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ministack.services import sqs

from tools.cloud.message_moves import MessageMoves

Action = Callable[..., Awaitable[dict[str, Any]]]


@dataclass
class Queues:
    """MiniStack's SQS with a queue and its dead-letter queue."""

    url: str
    dlq_url: str
    arn: str
    dlq_arn: str

    @classmethod
    async def created(cls) -> "Queues":
        dlq_url = (await call("CreateQueue", QueueName="work-dlq"))["QueueUrl"]
        dlq_arn = await arn(dlq_url)
        policy = json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": 1})
        created = await call("CreateQueue", QueueName="work", Attributes={"RedrivePolicy": policy})
        return cls(created["QueueUrl"], dlq_url, await arn(created["QueueUrl"]), dlq_arn)

    async def bury(self, body: str) -> None:
        """A message that SQS itself gives up."""
        attributes = {"type": {"DataType": "String", "StringValue": "a"}}
        await call("SendMessage", QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes)
        for _ in range(2):
            await call("ReceiveMessage", QueueUrl=self.url, VisibilityTimeout=0)

    async def newest_task(self) -> dict[str, Any]:
        (task,) = (await call("ListMessageMoveTasks", SourceArn=self.dlq_arn))["Results"]
        return dict(task)

    async def ended_task(self) -> dict[str, Any]:
        while (task := await self.newest_task())["Status"] == "RUNNING":
            await asyncio.sleep(0)
        return task


async def call(action: str, **request: Any) -> dict[str, Any]:
    return dict(await sqs._dispatch(action, request, ""))


async def arn(url: str) -> str:
    attributes = await call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return str(attributes["Attributes"]["QueueArn"])


async def messages(url: str) -> list[dict[str, Any]]:
    received = await call(
        "ReceiveMessage",
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["ApproximateReceiveCount"],
        MessageAttributeNames=["All"],
    )
    return list(received.get("Messages", []))


@pytest.fixture(autouse=True)
def extended_sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for action, handler in MessageMoves(sqs).handlers().items():
        monkeypatch.setitem(sqs._HANDLERS, action, handler)
    yield
    sqs.reset()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


def test_messages_go_back_to_the_queue_that_they_come_from_as_new_ones() -> None:
    async def scenario() -> None:
        queues = await Queues.created()
        for number in range(3):
            await queues.bury(f"message {number}")

        started = await call("StartMessageMoveTask", SourceArn=queues.dlq_arn)
        running = await queues.newest_task()
        ended = await queues.ended_task()

        assert (running["Status"], running["TaskHandle"]) == ("RUNNING", started["TaskHandle"])
        assert ended == {
            "Status": "COMPLETED",
            "SourceArn": queues.dlq_arn,
            "ApproximateNumberOfMessagesMoved": 3,
            "ApproximateNumberOfMessagesToMove": 3,
            "StartedTimestamp": running["StartedTimestamp"],
        }
        moved = await messages(queues.url)
        assert sorted(message["Body"] for message in moved) == [f"message {number}" for number in range(3)]
        assert {message["Attributes"]["ApproximateReceiveCount"] for message in moved} == {"1"}
        assert {message["MessageAttributes"]["type"]["StringValue"] for message in moved} == {"a"}
        assert await messages(queues.dlq_url) == []

    run(scenario())


def test_a_message_that_sqs_did_not_give_up_itself_needs_a_destination() -> None:
    async def scenario() -> None:
        queues = await Queues.created()
        await call("SendMessage", QueueUrl=queues.dlq_url, MessageBody="by hand")

        await call("StartMessageMoveTask", SourceArn=queues.dlq_arn)
        failed = await queues.ended_task()
        await call("StartMessageMoveTask", SourceArn=queues.dlq_arn, DestinationArn=queues.arn)
        moved = await queues.ended_task()

        assert (failed["Status"], failed["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
        assert (moved["Status"], moved["DestinationArn"]) == ("COMPLETED", queues.arn)
        assert [message["Body"] for message in await messages(queues.url)] == ["by hand"]

    run(scenario())


def test_a_queue_has_one_task_at_a_time_which_can_be_cancelled() -> None:
    async def scenario() -> None:
        queues = await Queues.created()
        for number in range(2):
            await queues.bury(f"message {number}")
        start = {"SourceArn": queues.dlq_arn, "MaxNumberOfMessagesPerSecond": 1}

        handle = (await call("StartMessageMoveTask", **start))["TaskHandle"]
        await asyncio.sleep(0)
        with pytest.raises(sqs._Err) as second:
            await call("StartMessageMoveTask", **start)
        cancelled = await call("CancelMessageMoveTask", TaskHandle=handle)

        assert second.value.code == "UnsupportedOperation"
        assert cancelled == {"ApproximateNumberOfMessagesMoved": 1}
        assert (await queues.newest_task())["Status"] == "CANCELLED"
        assert len(await messages(queues.dlq_url)) == 1

    run(scenario())


def test_a_message_that_somebody_holds_stays() -> None:
    async def scenario() -> None:
        queues = await Queues.created()
        await queues.bury("held")
        await messages(queues.dlq_url)

        await call("StartMessageMoveTask", SourceArn=queues.dlq_arn)

        assert (await queues.ended_task())["ApproximateNumberOfMessagesMoved"] == 0
        assert await messages(queues.url) == []

    run(scenario())


def test_only_a_dead_letter_queue_that_exists_is_redriven() -> None:
    async def scenario() -> None:
        queues = await Queues.created()
        for source, code in (
            (queues.arn, "UnsupportedOperation"),
            (queues.arn + "x", "ResourceNotFoundException"),
        ):
            with pytest.raises(sqs._Err) as refused:
                await call("StartMessageMoveTask", SourceArn=source)
            assert refused.value.code == code

    run(scenario())
