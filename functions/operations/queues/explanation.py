"""What a message in a dead-letter queue was, and why it is there, from its own words and from what the tables know.

Nothing of a message is repeated that was not checked before: what cannot be read may hold anything.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from pydantic import Field, ValidationError
from sqlalchemy import Row, text

from functions.operations.queues.dead_letters import DeadLetter
from orders.db import Database
from orders.domain import OrderStatus
from orders.events import (
    CATALOGUE,
    CONSUMER_OF,
    CloudEvent,
    EventData,
    NotificationRequested,
    OrderCreated,
    Queue,
)
from orders.http import ApiModel
from orders.observability import valid_correlation_id
from orders.payments.records import UNDECIDED

_TYPE: Final = re.compile(r"com\.orders(\.[a-z]+)+\.v[0-9]+")


class Cause(StrEnum):
    """Why a message was given up, as far as can be told. Each has its section in docs/operations.md."""

    NOT_AN_EVENT = "NOT_AN_EVENT"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    WRONG_QUEUE = "WRONG_QUEUE"
    INVALID_DATA = "INVALID_DATA"
    NO_SUCH_ORDER = "NO_SUCH_ORDER"
    ALREADY_DONE = "ALREADY_DONE"
    CONSUMER_FAILED = "CONSUMER_FAILED"


_ADVICE: Final = {
    Cause.NOT_AN_EVENT: "This is no event of ours. Find out who sent it, then discard it.",
    Cause.UNKNOWN_TYPE: "No consumer knows this type. Deploy one that does and redrive it, or discard it.",
    Cause.WRONG_QUEUE: "This type is consumed from another queue. Find out who sent it here, then discard it.",
    Cause.INVALID_DATA: "Its data does not fit its type. Deploy what can read it and redrive it, or discard it.",
    Cause.NO_SUCH_ORDER: "The event's order does not exist. Discard it.",
    Cause.ALREADY_DONE: "The event has taken effect by now. Discard it.",
    Cause.CONSUMER_FAILED: "Its consumer failed each time. Put right what it failed of, then redrive it.",
}

_LOOK_UP: Final = text("""
    SELECT wanted.event_id, orders.status AS order_status, inbox.event_id IS NOT NULL AS is_processed,
           payments.status AS payment_status, told.status AS notification_status, told.error AS notification_error,
           outbox.status AS outbox_status, outbox.last_error AS outbox_error,
           (SELECT array_agg(step || ': ' || error ORDER BY at, step) FROM saga_steps
            WHERE saga_steps.order_id = wanted.order_id AND error IS NOT NULL) AS step_errors
    FROM unnest(CAST(:event_ids AS uuid[]), CAST(:order_ids AS uuid[]), CAST(:notifications AS text[]),
                CAST(:channels AS text[])) AS wanted (event_id, order_id, notification, channel)
    LEFT JOIN orders ON orders.id = wanted.order_id
    LEFT JOIN outbox ON outbox.id = wanted.event_id
    LEFT JOIN inbox ON inbox.consumer = :consumer AND inbox.event_id = wanted.event_id
    LEFT JOIN payments ON payments.order_id = wanted.order_id
    LEFT JOIN notifications AS told ON (told.order_id, told.type, told.channel)
        = (wanted.order_id, wanted.notification, wanted.channel)
""")


class DeadMessage(ApiModel):
    """A message that was given up, and why as far as can be told."""

    message_id: str
    received: int = Field(description="Deliveries so far, also by looking at it")
    sent_at: datetime
    event_id: UUID | None
    event_type: str | None
    order_id: UUID | None
    order_status: OrderStatus | None
    correlation_id: str | None = Field(description="Finds its log lines")
    cause: str = Field(description="A code; docs/operations.md has a section for each")
    explanation: str
    errors: list[str] = Field(description="Codes of what went wrong, oldest first; never content")


@dataclass(frozen=True)
class Reading:
    """A message as it was read: an event, or why it is none that its queue's consumer could work on."""

    letter: DeadLetter
    event: CloudEvent | None = None
    payload: EventData | None = None
    cause: Cause | None = None
    faults: tuple[str, ...] = ()
    """Which fields are wrong, and how. Names and kinds only, no values."""

    @property
    def is_of_order(self) -> bool:
        """Whether its subject is an order's id, as far as can be told."""
        return self.payload is None or self.payload.is_of_order


def read(queue: Queue, letter: DeadLetter) -> Reading:
    """Reads a message the way its consumer does."""
    try:
        event = CloudEvent.model_validate_json(letter.body)
    except ValidationError as error:
        return Reading(letter, cause=Cause.NOT_AN_EVENT, faults=_faults(error, CloudEvent.model_fields))
    schema = CATALOGUE.get(event.type)
    if schema is None:
        return Reading(letter, event, cause=Cause.UNKNOWN_TYPE)
    if schema.queue is not queue:
        return Reading(letter, event, cause=Cause.WRONG_QUEUE)
    try:
        return Reading(letter, event, event.payload())
    except ValidationError as error:
        names = [field.alias or name for name, field in schema.model_fields.items()]
        return Reading(letter, event, cause=Cause.INVALID_DATA, faults=_faults(error, names))


def explain(database: Database, queue: Queue, letters: Sequence[DeadLetter]) -> list[DeadMessage]:
    """Each message explained, with one statement for all of them.

    Raises:
        DatabaseUnavailable: try again.
    """
    readings = [read(queue, letter) for letter in letters]
    known = _look_up(database, queue, readings)
    return [
        _explained(reading, known.get(reading.event.id) if reading.event else None) for reading in readings
    ]


def is_done(explained: DeadMessage) -> bool:
    """Whether redriving it could change nothing any more."""
    return explained.cause in (Cause.ALREADY_DONE, Cause.NO_SUCH_ORDER)


def _look_up(database: Database, queue: Queue, readings: Iterable[Reading]) -> dict[UUID, Row[Any]]:
    events = {reading.event.id: reading for reading in readings if reading.event}
    if not events:
        return {}
    asked = [
        reading.payload if isinstance(reading.payload, NotificationRequested) else None
        for reading in events.values()
    ]
    parameters = {
        "event_ids": list(events),
        "order_ids": [reading.event.subject for reading in events.values() if reading.event],
        "notifications": [request.notification if request else None for request in asked],
        "channels": [request.channel if request else None for request in asked],
        "consumer": CONSUMER_OF.get(queue, ""),
    }
    rows = database.transact_alone(lambda connection: connection.execute(_LOOK_UP, parameters).all())
    return {row.event_id: row for row in rows}


def _explained(reading: Reading, known: Row[Any] | None) -> DeadMessage:
    event = reading.event
    cause = reading.cause or _cause(reading, known)
    return DeadMessage(
        message_id=reading.letter.message_id,
        received=reading.letter.received,
        sent_at=reading.letter.sent_at,
        event_id=event.id if event else None,
        event_type=event.type if event and _TYPE.fullmatch(event.type) else None,
        order_id=event.subject if event and reading.is_of_order else None,
        order_status=OrderStatus(known.order_status) if known and known.order_status else None,
        correlation_id=valid_correlation_id(event.correlationid) if event else None,
        cause=cause,
        explanation=_ADVICE[cause],
        errors=[*reading.faults, *_recorded(known)],
    )


def _cause(reading: Reading, known: Row[Any] | None) -> Cause:
    if known is None or (reading.is_of_order and known.order_status is None):
        return Cause.NO_SUCH_ORDER
    # Whatever an order's saga is waiting for, it is not this event any more: maintenance looks after it.
    is_started = isinstance(reading.payload, OrderCreated) and known.order_status != OrderStatus.PENDING
    return Cause.ALREADY_DONE if known.is_processed or is_started else Cause.CONSUMER_FAILED


def _recorded(known: Row[Any] | None) -> list[str]:
    """What the tables know of failures around the event: codes, as they were recorded."""
    if known is None:
        return []
    recorded = list(known.step_errors or ())
    if known.payment_status in UNDECIDED:
        recorded.append(f"payment: {known.payment_status}")
    if known.notification_error is not None:
        recorded.append(f"notification {known.notification_status}: {known.notification_error}")
    if known.outbox_error is not None:
        recorded.append(f"outbox {known.outbox_status}: {known.outbox_error}")
    return recorded


def _faults(error: ValidationError, names: Iterable[str]) -> tuple[str, ...]:
    """E.g. `id: missing`. A name that we did not give may be anything, so it is not repeated."""
    known = set(names)
    return tuple(
        f"{_place(detail['loc'], known)}: {detail['type']}" for detail in error.errors(include_input=False)
    )


def _place(location: Sequence[str | int], known: set[str]) -> str:
    if not location:
        return "body"
    return str(location[0]) if location[0] in known else "a field that is not known"
