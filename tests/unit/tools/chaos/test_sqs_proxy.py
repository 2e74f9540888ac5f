"""The endpoint between the relay and SQS fails a part of a batch, and only when it is told to."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tools.aws_server import SqsServer
from tools.chaos.sqs_proxy import SqsProxy

QUEUE_URL = "http://127.0.0.1/000000000000/orders-local-order-processing"


@pytest.fixture
def server() -> Iterator[SqsServer]:
    with SqsServer().serving() as server:
        yield server


@pytest.fixture
def proxy(server: SqsServer) -> Iterator[SqsProxy]:
    with SqsProxy(server.url).serving() as proxy:
        yield proxy


def send(proxy: SqsProxy, number: int) -> dict[str, list[Any]]:
    """So many messages in one batch; answers what SQS says of each."""
    client = boto3.client(
        "sqs",
        endpoint_url=proxy.url,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    entries = [{"Id": str(place), "MessageBody": f"body {place}"} for place in range(number)]
    answer = client.send_message_batch(QueueUrl=QUEUE_URL, Entries=entries)  # type: ignore[arg-type]
    client.close()
    return {said: [entry["Id"] for entry in answer.get(said, [])] for said in ("Successful", "Failed")}  # type: ignore[attr-defined]


def test_a_batch_passes_as_it_is(proxy: SqsProxy, server: SqsServer) -> None:
    assert send(proxy, 3) == {"Successful": ["0", "1", "2"], "Failed": []}
    assert len(server.accepted) == 3


def test_a_part_that_fails_never_reaches_the_queue(proxy: SqsProxy, server: SqsServer) -> None:
    struck: list[str] = []
    proxy.fail_part(50, struck.append)
    assert send(proxy, 4) == {"Successful": ["2", "3"], "Failed": ["0", "1"]}
    assert [entry["Id"] for _, entry in server.accepted] == ["2", "3"]
    assert struck == ["2 of 4 to order-processing"]
    assert send(proxy, 4)["Failed"] == [], "once"


@pytest.mark.parametrize(("percent", "failed"), [(1, 1), (99, 3)])
def test_one_at_least_fails_and_never_all(proxy: SqsProxy, percent: int, failed: int) -> None:
    proxy.fail_part(percent, lambda _: None)
    assert len(send(proxy, 4)["Failed"]) == failed


def test_a_single_message_has_no_part_that_could_fail(proxy: SqsProxy) -> None:
    proxy.fail_part(50, lambda _: None)
    assert send(proxy, 1) == {"Successful": ["0"], "Failed": []}
    assert proxy.armed == 1


def test_the_last_message_that_was_stored_is_remembered(proxy: SqsProxy) -> None:
    assert proxy.last_sent("order-processing") is None
    send(proxy, 2)
    assert proxy.last_sent("order-processing") == "body 1"
