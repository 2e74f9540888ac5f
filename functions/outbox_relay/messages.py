"""From outbox rows to messages, and from messages to batches that SQS accepts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from pydantic import ValidationError

from functions.outbox_relay.claims import ClaimedEvent
from functions.outbox_relay.outcomes import EventRefused
from orders.events import CATALOGUE, CloudEvent, Queue

MAX_BATCH_MESSAGES: Final = 10
MAX_BATCH_BYTES: Final = 256 * 1024
"""For one message as for a whole batch. AWS allows 1 MiB by now; not every queue and emulator does."""

TYPE_ATTRIBUTE: Final = "type"
ATTRIBUTE_DATA_TYPE: Final = "String"


@dataclass(frozen=True)
class QueueMessage:
    """One event as it goes to its queue."""

    event: ClaimedEvent
    queue: Queue
    body: str
    size: int
    """Bytes as SQS counts them: the body, and name, data type and value of the attribute."""


@dataclass(frozen=True)
class Batch:
    """What one call to SQS sends."""

    queue: Queue
    messages: tuple[QueueMessage, ...]


def compose(event: ClaimedEvent) -> QueueMessage | EventRefused:
    """The event as a CloudEvent for the queue that the catalogue names, or why it can be none."""
    schema = CATALOGUE.get(event.type)
    if schema is None:
        return EventRefused(event, "UnknownEventType", final=True)
    try:
        data = schema.model_validate_json(event.data)
    except ValidationError:
        # Not final: a newer relay, whose deploy is under way, may know more than this one.
        return EventRefused(event, "InvalidEventData")
    envelope = CloudEvent(
        id=event.id,
        type=event.type,
        subject=event.subject,
        time=event.created_at.astimezone(UTC),
        correlationid=event.correlation_id,
        traceparent=event.traceparent,
        data=data.model_dump(mode="json", by_alias=True),
    )
    body = envelope.model_dump_json()
    size = len(body.encode()) + len(TYPE_ATTRIBUTE + ATTRIBUTE_DATA_TYPE + event.type)
    if size > MAX_BATCH_BYTES:
        return EventRefused(event, "MessageTooLarge", final=True)
    return QueueMessage(event, schema.queue, body, size)


def pack(messages: Iterable[QueueMessage]) -> Iterator[Batch]:
    """Batches of one queue each, within the limits of SQS, in the order of the messages."""
    by_queue: dict[Queue, list[QueueMessage]] = defaultdict(list)
    for message in messages:
        by_queue[message.queue].append(message)
    for queue, queued in by_queue.items():
        batch: list[QueueMessage] = []
        room = MAX_BATCH_BYTES
        for message in queued:
            if len(batch) == MAX_BATCH_MESSAGES or message.size > room:
                yield Batch(queue, tuple(batch))
                batch, room = [], MAX_BATCH_BYTES
            batch.append(message)
            room -= message.size
        yield Batch(queue, tuple(batch))
