"""Sending to SQS. The only module of the relay that knows the SDK.

Whose fault a failure is, is decided here, by SQS's own word:

- an entry that SQS refuses with SenderFault, in a call that it otherwise accepts, is refused for what it is;
- a call that it refuses for its content is repeated message by message, and only the message that is refused alone
  is to blame;
- everything else (no response, throttling, a server's error, a missing queue, right or key) says nothing about the
  events: they are undelivered, however often that happens.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.outbox_relay.messages import ATTRIBUTE_DATA_TYPE, TYPE_ATTRIBUTE, Batch, QueueMessage
from functions.outbox_relay.outcomes import EventRefused, Outcome, Published, Undelivered
from orders import aws
from orders.aws import CONNECT_TIMEOUT_SECONDS
from orders.events import Queue
from orders.tracing import message_attributes

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        SendMessageBatchRequestEntryTypeDef,
        SendMessageBatchResultTypeDef,
    )

READ_TIMEOUT_SECONDS: Final = 3
ATTEMPTS: Final = 2
"""By the SDK: one more, at once, for a connection that died while idle. Patience is the outbox's."""
LONGEST_CALL_SECONDS: Final = ATTEMPTS * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS) + 1
"""Including the SDK's wait before its second attempt."""

# SQS has two names for some errors, of its older and of its newer protocol.
_LEGACY_PREFIX: Final = "AWS.SimpleQueueService."
_CONTENT_ERRORS: Final = frozenset(
    {"BatchRequestTooLong", "InvalidMessageContents", "InvalidParameterValue", "InvalidAttributeValue"}
)
# Of entries: SQS calls these the sender's fault too, and they pass.
_PASSING_ENTRY_ERRORS: Final = ("Kms", "KMS.", "RequestThrottled", "Throttling", "AccessDenied")


class SqsPublisher:
    """Sends batches; safe to use from several threads, as its client is."""

    def __init__(self, client: "SQSClient", queue_urls: Mapping[Queue, str]) -> None:
        self._client = client
        self._queue_urls = queue_urls

    @classmethod
    def connect(cls, queue_urls: Mapping[Queue, str], connections: int) -> "SqsPublisher":
        """A publisher for as many threads as `connections`."""
        client = aws.connect(
            "sqs",
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            attempts=ATTEMPTS,
            max_pool_connections=connections,
            tcp_keepalive=True,
        )
        return cls(client, queue_urls)

    def send(self, batch: Batch) -> list[Outcome]:
        """Sends the batch in one call, and returns what became of each of its events. It raises nothing that
        SQS or the way to it can cause."""
        try:
            response = self._call(batch)
        except ClientError as error:
            code = _code(error.response["Error"].get("Code"))
            if code not in _CONTENT_ERRORS:
                return [Undelivered(message.event, code) for message in batch.messages]
            if len(batch.messages) == 1:
                return [EventRefused(batch.messages[0].event, code)]
            return self._send_one_by_one(batch)
        except BotoCoreError as error:
            return [Undelivered(message.event, type(error).__name__) for message in batch.messages]
        return _read(batch, response)

    def _send_one_by_one(self, batch: Batch) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for sent, message in enumerate(batch.messages):
            outcomes += self.send(Batch(batch.queue, (message,)))
            last = outcomes[-1]
            if isinstance(last, Undelivered):
                # An outage has begun: waiting for it once a message would outlast the lease.
                return outcomes + [Undelivered(rest.event, last.error) for rest in batch.messages[sent + 1 :]]
        return outcomes

    def _call(self, batch: Batch) -> "SendMessageBatchResultTypeDef":
        return self._client.send_message_batch(
            QueueUrl=self._queue_urls[batch.queue], Entries=[_entry(message) for message in batch.messages]
        )


def _entry(message: QueueMessage) -> "SendMessageBatchRequestEntryTypeDef":
    return {
        "Id": str(message.event.id),
        "MessageBody": message.body,
        "MessageAttributes": {
            TYPE_ATTRIBUTE: {"DataType": ATTRIBUTE_DATA_TYPE, "StringValue": message.event.type}
        },
        "MessageSystemAttributes": message_attributes(message.event.traceparent),
    }


def _read(batch: Batch, response: "SendMessageBatchResultTypeDef") -> list[Outcome]:
    confirmed = {entry["Id"] for entry in response.get("Successful", [])}
    failed = {entry["Id"]: entry for entry in response.get("Failed", [])}
    outcomes: list[Outcome] = []
    for message in batch.messages:
        entry_id = str(message.event.id)
        if entry_id in confirmed:
            outcomes.append(Published(message.event))
        elif entry_id not in failed:
            # Neither confirmed nor refused: unknown, so it is not published.
            outcomes.append(Undelivered(message.event, "NotInAnswer"))
        else:
            code = _code(failed[entry_id].get("Code"))
            at_fault = failed[entry_id].get("SenderFault") and not code.startswith(_PASSING_ENTRY_ERRORS)
            outcomes.append(
                EventRefused(message.event, code) if at_fault else Undelivered(message.event, code)
            )
    return outcomes


def _code(code: str | None) -> str:
    return (code or "Unknown").removeprefix(_LEGACY_PREFIX)
