"""A message that nobody can process (promise I12, trap T16)."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, tokens
from tools.audit import dead_letters
from tools.cloud import aws

QUEUE = "order-processing"
PATIENCE_SECONDS = 60


@pytest.fixture
def impatient_queue(running_cloud: Cloud) -> Iterator[str]:
    """The queue, giving a failed message out again after a second instead of three minutes."""
    sqs = aws.queues(running_cloud.settings)
    url = running_cloud.stack["queues"][QUEUE]["url"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    yield url
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
    sqs.purge_queue(QueueUrl=running_cloud.stack["queues"][QUEUE]["dlq_url"])


@pytest.mark.parametrize("poison", ["not an event", '{"specversion": "1.0"}'])
def test_a_poison_message_ends_in_its_dead_letter_queue_and_blocks_nobody(
    running_cloud: Cloud, impatient_queue: str, poison: str
) -> None:
    before = dead_letters.depths(aws.queues(running_cloud.settings), running_cloud.stack)
    marked = f"{poison} {uuid4()}" if poison == "not an event" else poison
    aws.queues(running_cloud.settings).send_message(QueueUrl=impatient_queue, MessageBody=marked)

    customer = Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])
    placed = customer.post(ORDER)
    assert await_end(customer, placed.body["orderId"])["status"] == "CONFIRMED"

    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        after = dead_letters.depths(aws.queues(running_cloud.settings), running_cloud.stack)
        if after[QUEUE] > before[QUEUE]:
            break
        time.sleep(0.5)
    assert after == {**before, QUEUE: before[QUEUE] + 1}
    message = _receive(running_cloud)
    assert message == marked, "an operator must be able to read what was given up"


def _receive(running_cloud: Cloud) -> str:
    answer = aws.queues(running_cloud.settings).receive_message(
        QueueUrl=running_cloud.stack["queues"][QUEUE]["dlq_url"], MaxNumberOfMessages=1, WaitTimeSeconds=5
    )
    (message,) = answer["Messages"]
    return message["Body"]
