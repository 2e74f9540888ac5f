"""A relay that is killed between send and mark: its events are published again, and take effect once."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from functions.notify.mailer import SesMailer
from functions.notify.notify import notify
from functions.start_saga.start_saga import StateMachines, start_execution
from orders import outbox
from orders.consumer import consume
from orders.db import Credentials, Database
from orders.domain import Notification
from orders.events import ExecutionRequested, NotificationRequested, Queue
from orders.executions import Executions, connect
from tests.integration.notify.fake_sender import permission
from tests.integration.relay import processes
from tests.integration.relay.outbox_setup import Relays, make_due, statuses, times_accepted
from tests.integration.relay.relay_process import KILLED
from tests.support.api import lambda_context
from tests.support.consumers import batch, failed
from tests.support.factories import TRACE, add_order, rows
from tools.aws_server import SqsServer

SENDER = "orders@example.com"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SES and Step Functions, for what is done with the messages once they are published."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("ses").verify_email_identity(EmailAddress=SENDER)
        yield


def bodies(sqs: SqsServer, queue: Queue) -> list[str]:
    return [entry["MessageBody"] for url, entry in sqs.accepted if url == sqs.queue_url(queue)]


def test_its_events_are_published_again_and_take_effect_once(
    credentials: Credentials,
    database: Database,
    sqs: SqsServer,
    relays: Relays,
    request: pytest.FixtureRequest,
) -> None:
    order_id = add_order(database)
    requested = NotificationRequested(notification=Notification.ORDER_CONFIRMED)
    database.transact(lambda connection: outbox.add(connection, order_id, requested, TRACE))
    events = [found["id"] for found in rows(database, "SELECT id FROM outbox")]

    assert processes.start("die", credentials, sqs).wait(timeout=60) == KILLED
    assert times_accepted(sqs, events) == [1, 1]
    assert statuses(database) == {"PENDING": 2}

    # Nobody has them before their lease ends, then the next relay does.
    relays.drain()
    assert times_accepted(sqs, events) == [1, 1]
    make_due(database)
    relays.drain()
    assert statuses(database) == {"PUBLISHED": 2}
    assert times_accepted(sqs, events) == [2, 2]

    request.getfixturevalue("aws")
    executions = _start_sagas(database, bodies(sqs, Queue.ORDER_PROCESSING))
    assert executions == [f"order-{order_id}"]
    assert _send_mails(database, bodies(sqs, Queue.NOTIFICATION_SENDING)) == 1
    assert [found["status"] for found in rows(database, "SELECT status FROM notifications")] == ["SENT"]


def _start_sagas(database: Database, messages: list[str]) -> list[str]:
    """Consumes the messages; answers the names of the executions that there are then."""
    client = boto3.client("stepfunctions")
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
    role = "arn:aws:iam::123456789012:role/saga"
    machine = client.create_state_machine(name="saga", definition=json.dumps(definition), roleArn=role)
    arn = machine["stateMachineArn"]
    executions = Executions(connect(), arn)
    answer = consume(
        batch(*messages),
        lambda_context(),
        ExecutionRequested,
        lambda event, requested: start_execution(StateMachines(executions, executions), event, requested),
        database=database,
        dlq_url="",
    )
    assert len(messages) == 2
    assert failed(answer) == []
    return [execution["name"] for execution in client.list_executions(stateMachineArn=arn)["executions"]]


def _send_mails(database: Database, messages: list[str]) -> int:
    """Consumes the messages; answers how many mails were sent."""
    mailer = SesMailer.connect(SENDER, "orders-test-mails")

    def send(event: Any, requested: NotificationRequested) -> None:
        notify(database, mailer, permission(), event, requested)

    answer = consume(
        batch(*messages), lambda_context(), NotificationRequested, send, database=database, dlq_url=""
    )
    assert len(messages) == 2
    assert failed(answer) == []
    return len(ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages)
