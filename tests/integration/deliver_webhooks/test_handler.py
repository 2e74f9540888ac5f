"""The Lambda as AWS starts it, against a real server of a customer's on this machine."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from standardwebhooks import Webhook

from functions.deliver_webhooks.deliver import NEEDED_SECONDS
from orders.db import Credentials, Database
from orders.events import OrderCreated
from orders.webhooks.keys import SigningKeys
from tests.integration.deliver_webhooks.webhook_setup import WebhookSetup
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.factories import rows
from tests.support.webhooks import KEY, add_endpoint, customer_server
from tests.support.written import recorded

HANDLER = "functions.deliver_webhooks.handler"


@pytest.fixture
def handler(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module, freshly imported, on the local stage."""
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        # Powertools remembers secrets by name, and each test has a database of its own.
        secrets.create_secret(Name=credentials.dbname, SecretString=credentials.model_dump_json())
        secrets.create_secret(Name=f"{credentials.dbname}-key", SecretString=KEY)
        for name, value in {
            "STAGE": "local",
            "ALLOW_LOOPBACK_WEBHOOKS": "true",
            "DATABASE_SECRET_ID": credentials.dbname,
            "WEBHOOK_KEY_ID": f"{credentials.dbname}-key",
            "WEBHOOK_RETRY_SECONDS": "[1, 2]",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, HANDLER, raising=False)
        module = importlib.import_module(HANDLER)
        yield module
        module.delivery.database.engine.dispose()


def deliver(handler: Any, *bodies: str, remaining_ms: int = 30_000) -> list[str]:
    """Delivers the messages in one batch; answers the ids of those that go back."""
    published(handler.delivery.database, *bodies)
    return failed(handler.handler(batch(*bodies), lambda_context(remaining_ms=remaining_ms)))


def test_an_order_that_ended_reaches_its_owners_server(
    handler: Any, database: Database, setup: WebhookSetup
) -> None:
    with customer_server(200) as server, recorded() as written:
        endpoint_id = add_endpoint(database, url=server.url)
        assert deliver(handler, setup.end_order().model_dump_json()) == []
        (attempt,) = setup.due()
        assert deliver(handler, attempt.model_dump_json()) == []

    (received,) = server.received
    Webhook(SigningKeys(lambda: KEY).secret(endpoint_id, 1)).verify(received.body, received.headers)
    assert written.metrics == {"WebhooksDelivered": 1}
    (line,) = written.logs("Webhook delivered")
    assert (line["webhook_id"], line["order_id"]) == (str(endpoint_id), str(attempt.subject))
    assert server.url not in written.text


def test_of_a_batch_with_bad_messages_exactly_those_are_given_up(
    handler: Any, setup: WebhookSetup, dead_letters: FakeDeadLetterQueue
) -> None:
    other_event = cloud_event(uuid4(), OrderCreated(total_amount=1, currency="USD"))

    bodies = (setup.end_order().model_dump_json(), other_event.model_dump_json(), "not json")
    assert deliver(handler, *bodies) == []
    assert dead_letters.bodies == [*bodies[1:]]


def test_no_attempt_is_begun_that_might_not_be_finished(
    handler: Any, database: Database, setup: WebhookSetup
) -> None:
    with customer_server(200) as server:
        add_endpoint(database, url=server.url)
        deliver(handler, setup.end_order().model_dump_json())
        (attempt,) = setup.due()

        almost = int(1000 * NEEDED_SECONDS) - 1
        assert deliver(handler, attempt.model_dump_json(), remaining_ms=almost) == ["message-0"]
        assert server.received == []
        assert rows(database, "SELECT lease_until FROM webhook_deliveries") == [{"lease_until": None}]
        assert deliver(handler, attempt.model_dump_json()) == []
        assert len(server.received) == 1


def test_a_broken_server_is_no_failure_of_the_message(
    handler: Any, database: Database, setup: WebhookSetup
) -> None:
    """It would come to the dead-letter queue, and call an operator."""
    with customer_server(500) as server:
        add_endpoint(database, url=server.url)
        deliver(handler, setup.end_order().model_dump_json())
        (attempt,) = setup.due()
        assert deliver(handler, attempt.model_dump_json()) == []

    assert setup.pending() == 1
