"""The Lambda as AWS starts it: settings, secret, queues, one run."""

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.outbox_relay.relay import SAFETY_MARGIN_SECONDS
from orders.db import Credentials, Database
from orders.events import CloudEvent, Queue
from tests.integration.relay.outbox_setup import add_events, statuses
from tests.support.api import lambda_context
from tests.support.written import recorded

HANDLER = "functions.outbox_relay.handler"


@pytest.fixture
def handler(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module, freshly imported, with a window of a third of a second."""
    with mock_aws():
        sqs = boto3.client("sqs")
        urls = {queue: sqs.create_queue(QueueName=f"orders-test-{queue}")["QueueUrl"] for queue in Queue}
        # Powertools remembers secrets by name, and each test has a database of its own.
        boto3.client("secretsmanager").create_secret(
            Name=credentials.dbname, SecretString=credentials.model_dump_json()
        )
        monkeypatch.setenv("DATABASE_SECRET_ID", credentials.dbname)
        monkeypatch.setenv("QUEUE_URLS", json.dumps(urls))
        monkeypatch.setenv("RELAY_WINDOW_SECONDS", "0.3")
        monkeypatch.delitem(sys.modules, HANDLER, raising=False)
        module = importlib.import_module(HANDLER)
        yield module
        module.database.engine.dispose()


def test_a_run_publishes_the_outbox_and_tells_what_it_did(handler: Any, database: Database) -> None:
    (event_id,) = add_events(database)
    with recorded() as written:
        counts = handler.handler({}, lambda_context(remaining_ms=900_000))
    assert counts == {"published": 1, "retried": 0, "dead": 0}
    assert statuses(database) == {"PUBLISHED": 1}

    url = handler.settings.queue_urls[Queue.ORDER_PROCESSING]
    (message,) = boto3.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert CloudEvent.model_validate_json(message["Body"]).id == event_id
    assert message["MessageAttributes"]["type"]["StringValue"] == "com.orders.order.created.v1"

    (line,) = written.logs("Relay run is over")
    assert (line["published"], line["retried"], line["dead"]) == (1, 0, 0)
    assert line["function_request_id"]
    assert written.metrics["OutboxPublished"] == 1
    assert 0 < written.metrics["OutboxLag"] < 60_000


def test_a_function_without_time_claims_nothing(handler: Any, database: Database) -> None:
    add_events(database)
    counts = handler.handler({}, lambda_context(remaining_ms=SAFETY_MARGIN_SECONDS * 1000))
    assert counts == {"published": 0, "retried": 0, "dead": 0}
    assert statuses(database) == {"PENDING": 1}
