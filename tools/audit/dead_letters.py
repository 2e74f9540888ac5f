"""Dead-letter queues, as an operator reads them: what is in there, and whether it can be explained."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from orders.events import CATALOGUE, CloudEvent, Queue
from orders.executions import subject_of
from orders.payments.webhooks import ProviderMessage
from tools.audit.verdict import Verdict, Violation
from tools.cloud.aws import depth
from tools.cloud.stack import Stack

if TYPE_CHECKING:
    from uuid import UUID

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
    def event(self) -> CloudEvent | None:
        """The event that it is, if it is one that some consumer of its queue would take."""
        try:
            event = CloudEvent.model_validate(json.loads(self.body))
            event.payload()
        except (ValueError, KeyError):
            return None
        return event if CATALOGUE[event.type].queue == self.queue else None

    @property
    def given_up(self) -> "GivenUp | None":
        """What would still be done if it were redriven; None if that is nothing."""
        if self.event is not None:
            return GivenUp(self.event.type, self.event.subject)
        if self.queue != Queue.PAYMENT_WEBHOOKS:
            return None
        try:
            message = ProviderMessage.model_validate_json(self.body)
        except ValueError:
            return None
        order_id = subject_of(message.key or "")
        return GivenUp(f"{message.provider}'s {message.type}", order_id) if order_id else None


class GivenUp(NamedTuple):
    """What a consumer has given up, and the order that it was about."""

    what: str
    order_id: "UUID"

    def __str__(self) -> str:
        return f"{self.what} of order {self.order_id}"


def depths(client: "SQSClient", stack: Stack) -> dict[str, int]:
    """How many messages each dead-letter queue holds, by the name of the queue that gave them up."""
    return {name: depth(client, queue["dlq_url"]).total for name, queue in stack["queues"].items()}


def read(client: "SQSClient", stack: Stack) -> tuple[DeadLetter, ...]:
    """Everything in the dead-letter queues; it stays there."""
    found: dict[str, DeadLetter] = {}
    for name, queue in stack["queues"].items():
        # Until a response is empty: one holds ten messages at most.
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
    return tuple(found.values())


def redrive(client: "SQSClient", stack: Stack, letter: DeadLetter) -> None:
    """Puts a message back into its queue, and takes it out of the dead-letter queue when it is there."""
    queue = stack["queues"][letter.queue]
    client.send_message(QueueUrl=queue["url"], MessageBody=letter.body)
    client.delete_message(QueueUrl=queue["dlq_url"], ReceiptHandle=letter.receipt)


def check_given_up(
    letters: Collection[DeadLetter],
    orders: "Collection[UUID]",
    in_review: "Collection[UUID]",
    announced: "Collection[UUID]",
    planted: Mapping[str, str],
) -> Verdict:
    """Holds what was given up against promise I12.

    `orders` are all there are, `in_review` those that need review, `announced` those of which a log says so. `planted`
    has the queues of poison messages by a mark in each one's body.
    """
    marks = {letter: next((mark for mark in planted if mark in letter.body), None) for letter in letters}
    found = {mark: letter.queue for letter, mark in marks.items()}
    return Verdict(
        "I12",
        "Every dead letter is planted poison or an order's event, every order in review is announced",
        len(letters) + len(planted) + len(in_review),
        (
            *(
                Violation(
                    letter.message_id, f"in the dead-letter queue of {letter.queue}, and nobody knows why"
                )
                for letter, mark in marks.items()
                if mark is None and (letter.given_up is None or letter.given_up.order_id not in orders)
            ),
            *(
                Violation(mark, f"was planted in {queue}, and is not in its dead-letter queue")
                for mark, queue in planted.items()
                if found.get(mark) != queue
            ),
            *(
                Violation(str(order), "needs review, and no log says so")
                for order in in_review
                if order not in announced
            ),
        ),
        tuple(_given_up(letter for letter, mark in marks.items() if mark is None)),
    )


def _given_up(letters: Iterable[DeadLetter]) -> Iterable[Violation]:
    for letter in letters:
        if letter.given_up is not None:
            yield Violation(letter.message_id, f"{letter.given_up} was given up")
