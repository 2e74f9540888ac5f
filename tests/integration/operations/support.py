"""What the tests of operations share: the handler on a real database, with moto's SQS and Step Functions behind it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.operations import dependencies, handler
from functions.operations.queues.dead_letters import DeadLetters
from functions.operations.queues.message_ages import MessageAges
from orders.db import Database
from orders.events import CloudEvent, Queue
from orders.payments.gateway import PaymentGateway
from payment_simulator.gateway import SimulatedGateway
from tests.integration.maintenance.support import StepFunctions
from tests.support.api import Client
from tests.support.consumers import published
from tests.support.factories import execute, rows
from tests.support.payments import BEHAVIOUR

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

OPERATOR = "olivia-0c11"
ADMIN = "/api/v1/admin"
HANDLER = handler.handler


class MovingSqs:
    """moto's SQS with the message move tasks that it lacks. A task runs until the test lets it finish."""

    def __init__(self, client: "SQSClient") -> None:
        self._client = client
        self._tasks: list[dict[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_message_move_tasks(self, **request: Any) -> Any:
        newest = [task for task in self._tasks if task["SourceArn"] == request["SourceArn"]]
        return {"Results": newest[: request["MaxResults"]]}

    def start_message_move_task(self, **request: Any) -> Any:
        self._tasks.insert(0, {"Status": "RUNNING", **request})
        return {"TaskHandle": "task"}

    def finish_moves(self) -> None:
        for task in self._tasks:
            if task["Status"] == "RUNNING":
                task["Status"] = "COMPLETED"
                self._move(self._url(task["SourceArn"]), self._url(task["DestinationArn"]))

    def _url(self, arn: str) -> str:
        return self._client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]

    def _move(self, source: str, destination: str) -> None:
        while received := self._client.receive_message(QueueUrl=source).get("Messages"):
            for message in received:
                self._client.send_message(QueueUrl=destination, MessageBody=message["Body"])
                self._client.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])


class SilentSqs:
    """SQS that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def refuse(**request: Any) -> Any:
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "secret"}}, name)

        return refuse


@dataclass
class Aws:
    """Queues and a state machine in moto. Making clients is what costs, so the tests of a module share them."""

    sqs: "SQSClient"
    cloudwatch: Any
    step_functions: StepFunctions
    names: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["Aws"]:
        with StepFunctions.running() as step_functions:
            yield cls(
                boto3.client("sqs", region_name="us-east-1"),
                boto3.client("cloudwatch", region_name="us-east-1"),
                step_functions,
            )

    def new_queues(self) -> tuple[dict[Queue, str], dict[Queue, str]]:
        """Empty queues and dead-letter queues: their URLs."""
        number = next(self.names)
        queues, dlqs = (
            {queue: self._queue(f"orders-test{number}-{queue}{suffix}") for queue in Queue}
            for suffix in ("", "-dlq")
        )
        return queues, dlqs

    def _queue(self, name: str) -> str:
        return self.sqs.create_queue(QueueName=name)["QueueUrl"]


@dataclass
class Operations:
    """The function, its surroundings, and an operator who calls it."""

    database: Database
    aws: Aws
    queue_urls: dict[Queue, str]
    dlq_urls: dict[Queue, str]
    admin: Client
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def deployed(
        cls,
        database: Database,
        aws: Aws,
        monkeypatch: pytest.MonkeyPatch,
        gateway: PaymentGateway | None = None,
    ) -> "Operations":
        aws.step_functions.forget_everything()
        monkeypatch.setattr(dependencies, "database", database)
        monkeypatch.setattr(dependencies, "gateway", gateway or SimulatedGateway(database, BEHAVIOUR))
        monkeypatch.setattr(dependencies, "executions", lambda: aws.step_functions.executions)
        monkeypatch.setattr(dependencies, "refund_executions", lambda: aws.step_functions.refunds)
        admin = Client(HANDLER, user_id=OPERATOR, groups="[admin]")
        operations = cls(database, aws, *aws.new_queues(), admin, monkeypatch)
        operations.talk_to(MovingSqs(aws.sqs))
        ages = MessageAges(aws.cloudwatch, operations.queue_urls)
        monkeypatch.setattr(dependencies, "message_ages", lambda: ages)
        return operations

    @property
    def sqs(self) -> "SQSClient":
        return self.aws.sqs

    @property
    def step_functions(self) -> StepFunctions:
        return self.aws.step_functions

    def talk_to(self, client: Any) -> None:
        """Puts the function on another kind of SQS."""
        letters = DeadLetters(client, self.queue_urls, self.dlq_urls, wait_seconds=0)
        self.monkeypatch.setattr(dependencies, "dead_letters", lambda: letters)

    def bury(self, queue: Queue, body: str | CloudEvent) -> str:
        """A dead letter; answers its id."""
        if isinstance(body, CloudEvent):
            published(self.database, body.model_dump_json())
            sent = self.sqs.send_message(
                QueueUrl=self.dlq_urls[queue],
                MessageBody=body.model_dump_json(),
                MessageAttributes={"type": {"DataType": "String", "StringValue": body.type}},
            )
        else:
            sent = self.sqs.send_message(QueueUrl=self.dlq_urls[queue], MessageBody=body)
        return sent["MessageId"]

    def dead(self, queue: Queue) -> list[str]:
        """The bodies in the dead-letter queue; those in somebody's hands are not there."""
        return self._bodies(self.dlq_urls[queue])

    def alive(self, queue: Queue) -> list[str]:
        return self._bodies(self.queue_urls[queue])

    def actions(self) -> list[dict[str, Any]]:
        """The book of what operators did."""
        return rows(self.database, "SELECT * FROM operator_actions ORDER BY id")

    def let_rest(self, order_id: UUID) -> None:
        """Until a closing has nobody to fear."""
        execute(
            self.database,
            "UPDATE orders SET updated_at = updated_at - interval '2 minutes' WHERE id = :id",
            id=order_id,
        )

    def _bodies(self, url: str) -> list[str]:
        found: list[str] = []
        # Each is hidden from the next call, and nobody looks a second time.
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in messages]
        return found
