"""The Lambda against Step Functions as moto has it."""

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from orders.db import Database
from orders.events import CloudEvent, OrderCreated
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.factories import TRACE

HANDLER = "functions.start_saga.handler"
DEFINITION = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}


@pytest.fixture
def handler(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module, freshly imported, with a state machine to start."""
    with mock_aws():
        machine = boto3.client("stepfunctions").create_state_machine(
            name="orders-test-order-saga",
            definition=json.dumps(DEFINITION),
            roleArn="arn:aws:iam::123456789012:role/saga",
        )
        monkeypatch.setenv("STATE_MACHINE_ARN", machine["stateMachineArn"])
        monkeypatch.delitem(sys.modules, HANDLER, raising=False)
        module = importlib.import_module(HANDLER)
        monkeypatch.setattr(module, "database", database)
        yield module


def created() -> CloudEvent:
    return cloud_event(uuid4(), OrderCreated(total_amount=2500, currency="USD"))


def executions(handler: Any) -> dict[str, Any]:
    """The input of each execution by its name."""
    client = boto3.client("stepfunctions")
    listed = client.list_executions(stateMachineArn=handler.settings.state_machine_arn)["executions"]
    return {
        execution["name"]: json.loads(
            client.describe_execution(executionArn=execution["executionArn"])["input"]
        )
        for execution in listed
    }


def deliver(handler: Any, *bodies: str) -> list[str]:
    """Delivers the messages in one batch; answers the ids of those that go back."""
    published(handler.database, *bodies)
    return failed(handler.handler(batch(*bodies), lambda_context(remaining_ms=30_000)))


def test_each_order_gets_one_execution_named_after_it(handler: Any) -> None:
    one, two = created(), created()
    assert deliver(handler, one.model_dump_json(), two.model_dump_json()) == []
    assert executions(handler) == {
        f"order-{event.subject}": {
            "orderId": str(event.subject),
            "correlationId": TRACE.correlation_id,
            "traceparent": TRACE.traceparent,
        }
        for event in (one, two)
    }


def test_a_message_delivered_again_finds_its_execution_and_succeeds(handler: Any) -> None:
    body = created().model_dump_json()
    assert deliver(handler, body) == []
    assert deliver(handler, body, body) == []
    assert len(executions(handler)) == 1


def test_an_order_whose_execution_has_ended_is_not_started_again(handler: Any) -> None:
    body = created().model_dump_json()
    deliver(handler, body)
    client = boto3.client("stepfunctions")
    (execution,) = client.list_executions(stateMachineArn=handler.settings.state_machine_arn)["executions"]
    client.stop_execution(executionArn=execution["executionArn"])
    assert deliver(handler, body) == []
    assert len(executions(handler)) == 1


def test_of_a_batch_with_one_bad_message_exactly_that_one_is_given_up(
    handler: Any, dead_letters: FakeDeadLetterQueue
) -> None:
    one, two = created(), created()
    assert deliver(handler, one.model_dump_json(), "{}", two.model_dump_json()) == []
    assert dead_letters.bodies == ["{}"]
    assert set(executions(handler)) == {f"order-{one.subject}", f"order-{two.subject}"}


def test_what_step_functions_refuses_goes_back(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = handler.settings.model_copy(
        update={"state_machine_arn": handler.settings.state_machine_arn.replace("saga", "gone")}
    )
    monkeypatch.setattr(handler, "settings", elsewhere)
    assert deliver(handler, created().model_dump_json()) == ["message-0"]
