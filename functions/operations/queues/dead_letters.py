"""The queues and their dead-letter queues, as SQS lets one look at them.

SQS has no way to read a message without receiving it. What is received here is held for a while, so that one look
meets each message once, and given back in the end; whoever dies in between gives it back by waiting. Each method
raises ServiceUnavailable when SQS does not answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from orders import aws
from orders.aws import sdk_calls
from orders.contract import MAX_RECEIVE_COUNT
from orders.errors import NothingToRedrive, ServiceUnavailable
from orders.events import Queue
from orders.http import ApiModel
from orders.ids import parse_uuid
from orders.messages import DELIVERIES, ORIGINAL_ID, ORIGINAL_TIME
from orders.tracing import MESSAGE_ATTRIBUTE, message_attributes, traceparent_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

READ_TIMEOUT_SECONDS: Final = 5
"""Longer than a queue may be asked to wait for messages."""
ATTEMPTS: Final = 2

HOLD_SECONDS: Final = 30
"""How long a message that is looked at is hidden from everybody else. Longer than the function may run."""
WAIT_SECONDS: Final = 1
"""For messages to show up. Without waiting, SQS asks only some of its servers, and may miss what there is."""
MAX_BATCH: Final = 10
MAX_LOOKED_AT: Final = 1_000
"""Messages that are looked at for the one that is wanted."""

_VISIBLE: Final = "ApproximateNumberOfMessages"
_IN_FLIGHT: Final = "ApproximateNumberOfMessagesNotVisible"
_DELAYED: Final = "ApproximateNumberOfMessagesDelayed"
_ARN: Final = "QueueArn"

MayGoOn = Callable[[], bool]
"""Whether there is time for another call."""


class QueueDepth(ApiModel):
    """Messages as SQS counts them: approximately."""

    visible: int
    in_flight: int = Field(description="Received, and neither deleted nor given back yet")
    delayed: int


@dataclass(frozen=True)
class DeadLetter:
    """One message in hand."""

    message_id: str
    original_id: str
    """The one it had in its queue; another one only if its consumer put it here itself."""
    receipt: str
    body: str
    received: int
    """Deliveries so far, those before it was given up included, and looks at it."""
    deliveries: int
    """Those to its consumer."""
    sent_at: datetime
    """To its queue."""
    attributes: Mapping[str, Any]
    """As they are sent again."""
    traceparent: str | None = None
    """The trace that it claims to be of."""

    @property
    def age_seconds(self) -> int:
        return max(0, int((datetime.now(UTC) - self.sent_at).total_seconds()))


def connect() -> "SQSClient":
    """A client of SQS."""
    client: SQSClient = aws.connect("sqs", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS)
    return client


class DeadLetters:
    """The queues of one stage, by name."""

    def __init__(
        self,
        client: "SQSClient",
        queue_urls: Mapping[Queue, str],
        dlq_urls: Mapping[Queue, str],
        wait_seconds: int = WAIT_SECONDS,
    ) -> None:
        self._client = client
        self._queues = queue_urls
        self._dlqs = dlq_urls
        self._wait_seconds = wait_seconds

    def depths(self) -> dict[Queue, tuple[QueueDepth, QueueDepth]]:
        """Each queue's depth, and that of its dead-letter queue."""
        return {queue: (self._depth(self._queues[queue]), self._depth(self._dlqs[queue])) for queue in Queue}

    def peek(self, queue: Queue, limit: int, may_go_on: MayGoOn) -> list[DeadLetter]:
        """Up to `limit` messages, all of which stay where they are."""
        letters: list[DeadLetter] = []
        with self._holding(queue) as held:
            for received in self._receive(queue, limit, may_go_on):
                held += received
                letters += received
        return letters

    @contextmanager
    def in_hand(self, queue: Queue, message_id: str, may_go_on: MayGoOn) -> Iterator[DeadLetter | None]:
        """The message, hidden from everybody else until the block is left; None if it was not found among the first
        `MAX_LOOKED_AT`. Left by an exception it stays where it is, else somebody has dealt with it."""
        with self._holding(queue) as held:
            found = None
            for received in self._receive(queue, MAX_LOOKED_AT, may_go_on):
                found = next((letter for letter in received if letter.message_id == message_id), None)
                held += [letter for letter in received if letter is not found]
                if found:
                    break
            try:
                yield found
            except BaseException:
                held += [found] if found else []
                raise

    def send_back(self, queue: Queue, letter: DeadLetter) -> None:
        """Sends the message to its queue, and only then deletes it here: killed in between it is there twice, which
        its consumer's inbox makes harmless."""
        with sdk_calls("SQS"):
            self._client.send_message(
                QueueUrl=self._queues[queue],
                MessageBody=letter.body,
                MessageAttributes=dict(letter.attributes),
                MessageSystemAttributes=message_attributes(letter.traceparent),
            )
        self.delete(queue, letter)

    def delete(self, queue: Queue, letter: DeadLetter) -> None:
        """Deletes the message for good."""
        with sdk_calls("SQS"):
            self._client.delete_message(QueueUrl=self._dlqs[queue], ReceiptHandle=letter.receipt)

    def begin_move(self, queue: Queue) -> None:
        """Has SQS move every message back to its queue, which takes it some time and needs no further call.

        Raises:
            NothingToRedrive: SQS is moving them already.
        """
        with sdk_calls("SQS"):
            dlq_arn, queue_arn = (
                self._attributes(url, _ARN)[_ARN] for url in (self._dlqs[queue], self._queues[queue])
            )
            tasks = self._client.list_message_move_tasks(SourceArn=dlq_arn, MaxResults=1)
            if any(task.get("Status") == "RUNNING" for task in tasks.get("Results", ())):
                raise NothingToRedrive("The messages of this queue are being redriven already")
            # SQS knows the queue of the messages that it has moved here itself. One that was sent here by hand
            # would end the task, unless the destination is named (CouldNotDetermineMessageSource).
            self._client.start_message_move_task(SourceArn=dlq_arn, DestinationArn=queue_arn)

    def _depth(self, url: str) -> QueueDepth:
        with sdk_calls("SQS"):
            found = self._attributes(url, _VISIBLE, _IN_FLIGHT, _DELAYED)
        return QueueDepth(
            visible=int(found[_VISIBLE]), in_flight=int(found[_IN_FLIGHT]), delayed=int(found[_DELAYED])
        )

    def _attributes(self, url: str, *names: Any) -> Mapping[Any, str]:
        return self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]

    def _receive(self, queue: Queue, limit: int, may_go_on: MayGoOn) -> Iterator[list[DeadLetter]]:
        """Messages, a call's at a time, until there are no more, or so many; each is hidden for `HOLD_SECONDS`."""
        received = 0
        while received < limit and may_go_on():
            with sdk_calls("SQS"):
                answer = self._client.receive_message(
                    QueueUrl=self._dlqs[queue],
                    MaxNumberOfMessages=min(MAX_BATCH, limit - received),
                    VisibilityTimeout=HOLD_SECONDS,
                    WaitTimeSeconds=self._wait_seconds,
                    AttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
            messages = answer.get("Messages", [])
            if not messages:
                return
            received += len(messages)
            yield [_letter(message) for message in messages]

    @contextmanager
    def _holding(self, queue: Queue) -> Iterator[list[DeadLetter]]:
        """Gives back in the end what was put into the list."""
        held: list[DeadLetter] = []
        try:
            yield held
        finally:
            # Otherwise they come back by themselves, and their alarm is over for as long as that takes.
            with suppress(ServiceUnavailable):
                self._give_back(queue, held)

    def _give_back(self, queue: Queue, letters: Sequence[DeadLetter]) -> None:
        for start in range(0, len(letters), MAX_BATCH):
            with sdk_calls("SQS"):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._dlqs[queue],
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                        for number, letter in enumerate(letters[start : start + MAX_BATCH])
                    ],
                )


def _letter(message: "MessageTypeDef") -> DeadLetter:
    system: Mapping[Any, str] = message.get("Attributes", {})
    ours = {
        name: attribute.get("StringValue", "")
        for name, attribute in message.get("MessageAttributes", {}).items()
    }
    return DeadLetter(
        message_id=message["MessageId"],
        original_id=str(parse_uuid(ours.get(ORIGINAL_ID, "")) or message["MessageId"]),
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        received=_number(system.get("ApproximateReceiveCount")),
        deliveries=_deliveries(ours, system),
        sent_at=datetime.fromtimestamp(
            _number(ours.get(ORIGINAL_TIME)) / 1000 or _number(system.get("SentTimestamp")) / 1000, UTC
        ),
        attributes={
            name: {
                key: attribute[key] for key in ("DataType", "StringValue", "BinaryValue") if key in attribute
            }
            for name, attribute in message.get("MessageAttributes", {}).items()
            # Of this stay here; the next one counts anew.
            if name != DELIVERIES
        },
        traceparent=traceparent_of(system.get(MESSAGE_ATTRIBUTE)),
    )


def _deliveries(ours: Mapping[str, str], system: Mapping[Any, str]) -> int:
    """A message that SQS has moved here was delivered as often as its queue allows; each further receive was a look."""
    if DELIVERIES in ours:
        return _number(ours[DELIVERIES])
    return MAX_RECEIVE_COUNT if "DeadLetterQueueSourceArn" in system else 0


def _number(digits: str | None) -> int:
    """A whole number of a message's, which may claim anything, within the bounds of a time in milliseconds."""
    return int(digits) if digits and digits.isascii() and digits.isdigit() and len(digits) <= 13 else 0
