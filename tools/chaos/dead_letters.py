"""Dead-letter queues, as an operator reads them: what is in there, why, and what to do about it."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from pydantic import ValidationError

from orders.events import CATALOGUE, CloudEvent
from tools.chaos.poison import MARK
from tools.cloud.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_LOOK_SECONDS: Final = 30
"""Longer than one look takes: each message is seen once."""


@dataclass(frozen=True)
class DeadLetter:
    """One message that its consumer has given up."""

    queue: str
    message_id: str
    body: str
    receipt: str = ""

    @property
    def mark(self) -> str | None:
        """The mark of a message that was planted."""
        start = self.body.find(MARK)
        return None if start < 0 else self.body[start:].partition('"')[0]

    @property
    def event(self) -> CloudEvent | None:
        """The event that it is, if it is one that some consumer of its queue would take."""
        try:
            event = CloudEvent.model_validate(json.loads(self.body))
            event.payload()
        except (ValueError, ValidationError, KeyError):
            return None
        return event if CATALOGUE[event.type].queue == self.queue else None


def read(client: "SQSClient", stack: Stack) -> list[DeadLetter]:
    """Everything in the dead-letter queues; it stays there."""
    found: dict[str, DeadLetter] = {}
    for name, queue in stack["queues"].items():
        # Until an answer is empty: one answer holds ten at most.
        while messages := client.receive_message(
            QueueUrl=queue["dlq_url"], MaxNumberOfMessages=10, VisibilityTimeout=_LOOK_SECONDS
        ).get("Messages"):
            for message in messages:
                found[message["MessageId"]] = DeadLetter(
                    name, message["MessageId"], message["Body"], message["ReceiptHandle"]
                )
    for letter in found.values():
        client.change_message_visibility(
            QueueUrl=stack["queues"][letter.queue]["dlq_url"],
            ReceiptHandle=letter.receipt,
            VisibilityTimeout=0,
        )
    return list(found.values())


def redrive(client: "SQSClient", stack: Stack, letter: DeadLetter) -> None:
    """Puts a message back into its queue, and takes it out of the dead-letter queue when it is there."""
    queue = stack["queues"][letter.queue]
    client.send_message(QueueUrl=queue["url"], MessageBody=letter.body)
    client.delete_message(QueueUrl=queue["dlq_url"], ReceiptHandle=letter.receipt)


def subject(letter: DeadLetter) -> UUID | None:
    """The order that it is about."""
    return letter.event.subject if letter.event else None
