"""What starts a saga, and what becomes of messages that do not."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError

from functions.start_saga.start_saga import StateMachines, start_execution
from orders.consumer import consume
from orders.db import Database
from orders.domain import Notification
from orders.events import (
    CloudEvent,
    EventData,
    ExecutionRequested,
    NotificationRequested,
    OrderCreated,
    RefundRequested,
)
from orders.executions import Executions, Subject
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.written import recorded

ARN = "arn:aws:states:us-east-1:000000000000:stateMachine:orders-test-order-saga"


class ExecutionAlreadyExists(Exception):
    pass


def throttled_call() -> ClientError:
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "of order 42"}}, "StartExecution")


@dataclass
class FakeStepFunctions:
    """Executions by name, as Step Functions keeps them."""

    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    throttled: set[str] = field(default_factory=set)
    trace_headers: list[str | None] = field(default_factory=list)
    """Of each execution that was started."""
    exceptions = SimpleNamespace(ExecutionAlreadyExists=ExecutionAlreadyExists)

    def start_execution(
        self,
        stateMachineArn: str,  # noqa: N803
        name: str,
        input: str,
        traceHeader: str | None = None,  # noqa: N803
    ) -> None:
        assert stateMachineArn == ARN
        if name in self.throttled:
            raise throttled_call()
        if name in self.executions:
            raise ExecutionAlreadyExists
        self.executions[name] = json.loads(input)
        self.trace_headers.append(traceHeader)


def an_event(data: EventData | None = None) -> CloudEvent:
    return cloud_event(uuid4(), data or OrderCreated(total_amount=2500, currency="USD"))


def failed_messages(database: Database, step_functions: FakeStepFunctions, *bodies: str) -> list[str]:
    """What the queue is told to deliver again, of messages that our relay has sent."""
    published(database, *bodies)
    executions = Executions(cast(Any, step_functions), ARN)
    refunds = Executions(cast(Any, step_functions), ARN, Subject.REFUND)
    answer = consume(
        batch(*bodies),
        lambda_context(),
        ExecutionRequested,
        lambda event, requested: start_execution(StateMachines(executions, refunds), event, requested),
        database=database,
        dlq_url="https://sqs.example/dlq",
    )
    return failed(answer)


def test_an_order_starts_one_execution_with_its_name(database: Database) -> None:
    step_functions, event = FakeStepFunctions(), an_event()
    assert failed_messages(database, step_functions, event.model_dump_json()) == []
    assert step_functions.executions == {
        f"order-{event.subject}": {
            "orderId": str(event.subject),
            "correlationId": "correlation-1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
    }


@pytest.mark.parametrize(
    "data", [OrderCreated(total_amount=1, currency="USD"), RefundRequested(refund_id=uuid4())]
)
def test_an_execution_goes_on_in_the_trace_of_its_event(database: Database, data: EventData) -> None:
    step_functions = FakeStepFunctions()
    assert failed_messages(database, step_functions, an_event(data).model_dump_json()) == []
    assert step_functions.trace_headers == [
        "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
    ]


def test_an_execution_of_an_event_with_a_malformed_trace_starts_without_one(database: Database) -> None:
    step_functions = FakeStepFunctions()
    event = an_event().model_copy(update={"traceparent": "Root=1-forged"})
    assert failed_messages(database, step_functions, event.model_dump_json()) == []
    assert step_functions.trace_headers == [None]


def test_a_refund_starts_one_execution_with_its_own_name(database: Database) -> None:
    refund_id = uuid4()
    step_functions, body = (
        FakeStepFunctions(),
        an_event(RefundRequested(refund_id=refund_id)).model_dump_json(),
    )
    assert failed_messages(database, step_functions, body, body) == []
    assert step_functions.executions == {
        f"refund-{refund_id}": {
            "refundId": str(refund_id),
            "correlationId": "correlation-1",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
    }


def test_a_message_delivered_twice_starts_nothing_the_second_time_and_succeeds(database: Database) -> None:
    step_functions, body = FakeStepFunctions(), an_event().model_dump_json()
    assert failed_messages(database, step_functions, body, body) == []
    assert len(step_functions.executions) == 1


def test_a_message_that_fails_goes_back_alone(database: Database) -> None:
    good, throttled, also_good = an_event(), an_event(), an_event()
    step_functions = FakeStepFunctions(throttled={f"order-{throttled.subject}"})
    bodies = [event.model_dump_json() for event in (good, throttled, also_good)]
    assert failed_messages(database, step_functions, *bodies) == ["message-1"]
    assert set(step_functions.executions) == {f"order-{good.subject}", f"order-{also_good.subject}"}


def _without(event: CloudEvent, field: str) -> str:
    return json.dumps({name: value for name, value in event.model_dump(mode="json").items() if name != field})


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "null",
        "[]",
        _without(an_event(), "subject"),
        _without(an_event(), "correlationid"),
        an_event().model_copy(update={"subject": "42"}).model_dump_json(warnings=False),
        an_event().model_copy(update={"data": {"totalAmount": 1}}).model_dump_json(),
        an_event().model_copy(update={"type": "com.orders.order.unheard.v1"}).model_dump_json(),
        an_event(NotificationRequested(notification=Notification.ORDER_CONFIRMED)).model_dump_json(),
    ],
    ids=[
        "empty",
        "text",
        "null",
        "array",
        "no subject",
        "no correlation",
        "no uuid",
        "data",
        "type",
        "other event",
    ],
)
def test_a_malformed_message_is_given_up_alone_at_the_first_look(
    database: Database, dead_letters: FakeDeadLetterQueue, body: str
) -> None:
    step_functions, good = FakeStepFunctions(), an_event()
    assert failed_messages(database, step_functions, body, good.model_dump_json()) == []
    assert dead_letters.bodies == [body]
    assert list(step_functions.executions) == [f"order-{good.subject}"]


def test_when_every_message_fails_each_is_named(database: Database) -> None:
    events = [an_event(), an_event()]
    step_functions = FakeStepFunctions(throttled={f"order-{event.subject}" for event in events})
    bodies = [event.model_dump_json() for event in events]
    assert failed_messages(database, step_functions, *bodies) == ["message-0", "message-1"]


def test_what_the_dead_letter_queue_does_not_take_goes_back(
    database: Database, dead_letters: FakeDeadLetterQueue
) -> None:
    dead_letters.is_silent = True
    good = an_event()
    bodies = ["{}", good.model_dump_json()]
    assert failed_messages(database, FakeStepFunctions(), *bodies) == ["message-0"]


def test_a_failure_is_logged_once_with_the_ids_of_its_own_message_and_no_content(database: Database) -> None:
    good, throttled = an_event(), an_event()
    step_functions = FakeStepFunctions(throttled={f"order-{throttled.subject}"})
    secret = "alice.liddell@example.com"
    malformed = json.dumps({**good.model_dump(mode="json"), "subject": secret})
    with recorded() as written:
        failed_messages(
            database, step_functions, good.model_dump_json(), malformed, throttled.model_dump_json()
        )

    assert secret not in written.text
    (about_malformed,) = written.logs("Message refused, it goes to the dead-letter queue")
    (about_throttled,) = written.logs("Message failed, it goes back to its queue")
    assert about_malformed["message_id"] == "message-1"
    assert (about_malformed["cause"], about_malformed["faults"]) == (
        "NOT_AN_EVENT",
        ["subject: uuid_parsing"],
    )
    assert "order_id" not in about_malformed
    assert (about_throttled["level"], about_throttled["error"]) == ("WARNING", "ServiceUnavailable")
    assert "ThrottlingException" in about_throttled["detail"]
    assert "exception" not in about_throttled
    assert about_throttled["message_id"] == "message-2"
    assert about_throttled["order_id"] == str(throttled.subject)
    assert about_throttled["event_id"] == str(throttled.id)
    assert about_throttled["correlation_id"] == "correlation-1"


def test_the_name_fits_what_step_functions_allows() -> None:
    assert len(f"order-{UUID(int=2**128 - 1)}") <= 80
