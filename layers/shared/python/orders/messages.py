"""What a message on a queue claims, and what of it is true (promise I14).

Anybody who can send to a queue can write anything into a message. So a message only says where to look: its event's id
leads to the row that we wrote to the outbox, and that row is what a consumer works with. A message that is no event of
ours, or that says something else than its row, is poison at the first look. What SES and the payment provider tell has
no row, and is a hint: its consumer compares it with the mails that we have sent, or asks the provider.

Nothing of a message is repeated here that was not checked before: what cannot be read may hold anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection, Row, text

from orders.events import CATALOGUE, CloudEvent, EventData, Queue

Hint = TypeVar("Hint", bound=BaseModel)

ORIGINAL_ID: Final = "OriginalMessageId"
ORIGINAL_TIME: Final = "OriginalSentTimestamp"
DELIVERIES: Final = "Deliveries"
"""Attributes of a message that its consumer has put into the dead-letter queue: its id, when it was first sent (Unix
milliseconds), and how often its consumer got it. There it has a new id."""

_OUR_ATTRIBUTES: Final = (ORIGINAL_ID, ORIGINAL_TIME, DELIVERIES)
_MAX_ATTRIBUTES: Final = 10
"""SQS's own limit."""

# An event is not due if the relay cannot have published it yet.
WRITTEN: Final = """
    outbox.id AS event_id, outbox.type, outbox.subject, outbox.data, outbox.correlation_id, outbox.traceparent,
    outbox.created_at, coalesce(outbox.not_before <= now(), true) AS is_due
"""
"""SQL: the columns of `outbox` that `checked` compares a message with."""

_FIND: Final = text(f"SELECT {WRITTEN} FROM outbox WHERE id = ANY (CAST(:event_ids AS uuid[]))")


class Cause(StrEnum):
    """Why a message was given up, as far as can be told. Each has its section in docs/operations.md."""

    NOT_AN_EVENT = "NOT_AN_EVENT"
    UNKNOWN_TYPE = "UNKNOWN_TYPE"
    WRONG_QUEUE = "WRONG_QUEUE"
    INVALID_DATA = "INVALID_DATA"
    NO_SUCH_ORDER = "NO_SUCH_ORDER"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    ALTERED_EVENT = "ALTERED_EVENT"
    NOT_DUE = "NOT_DUE"
    ALREADY_DONE = "ALREADY_DONE"
    CONSUMER_FAILED = "CONSUMER_FAILED"


class Poison(Exception):
    """A message that its consumer has no use for, at the first look."""

    def __init__(self, cause: Cause, faults: tuple[str, ...] = ()) -> None:
        super().__init__(cause)
        self.cause = cause
        self.faults = faults


@dataclass(frozen=True)
class Reading:
    """A message as it was read: an event, or why it is none that its queue's consumer can work on."""

    event: CloudEvent | None = None
    """As the message claims it, until it is `checked`."""
    payload: EventData | None = None
    cause: Cause | None = None
    """Why it is poison. None: nothing speaks against it."""
    faults: tuple[str, ...] = ()
    """Which fields are wrong, and how. Names and kinds only, no values."""

    @property
    def is_of_order(self) -> bool:
        """Whether its subject is an order's id, as far as can be told."""
        return self.payload is None or self.payload.is_of_order


def read_hint(expected: type[Hint], body: str) -> Hint:
    """Reads a message of a queue that carries no events of ours. What it says is never true by itself.

    Raises:
        Poison: it is no `expected` one.
    """
    try:
        return expected.model_validate_json(body)
    except ValidationError as error:
        names = [field.alias or name for name, field in expected.model_fields.items()]
        raise Poison(Cause.NOT_AN_EVENT, _faults(error, names)) from None


def read(queue: Queue, body: str) -> Reading:
    """Reads a message of a queue of events. What it says is not true yet: see `checked`."""
    try:
        event = CloudEvent.model_validate_json(body)
    except ValidationError as error:
        return Reading(cause=Cause.NOT_AN_EVENT, faults=_faults(error, CloudEvent.model_fields))
    schema = CATALOGUE.get(event.type)
    if schema is None:
        return Reading(event, cause=Cause.UNKNOWN_TYPE)
    if schema.queue is not queue:
        return Reading(event, cause=Cause.WRONG_QUEUE)
    try:
        return Reading(event, event.payload())
    except ValidationError as error:
        names = [field.alias or name for name, field in schema.model_fields.items()]
        return Reading(event, cause=Cause.INVALID_DATA, faults=_faults(error, names))


def find_written(connection: Connection, event_ids: Collection[UUID]) -> Mapping[UUID, Row[Any]]:
    """The rows of these events in the outbox, by id, in one statement."""
    found = connection.execute(_FIND, {"event_ids": list(event_ids)})
    return {row.event_id: row for row in found}


def checked(reading: Reading, written: Row[Any] | None) -> Reading:
    """The reading with the event as we wrote it, or with the cause why it is poison. `written` is the row of the
    event's id."""
    event, payload = reading.event, reading.payload
    if reading.cause is not None or event is None or payload is None:
        return reading
    if written is None:
        return replace(reading, cause=Cause.UNKNOWN_EVENT)
    if (written.type, written.subject) != (event.type, event.subject):
        return replace(reading, cause=Cause.ALTERED_EVENT)
    ours = CloudEvent(
        id=written.event_id,
        type=written.type,
        subject=written.subject,
        time=written.created_at,
        correlationid=written.correlation_id,
        traceparent=written.traceparent,
        data=written.data,
    )
    if ours.payload() != payload:
        return replace(reading, cause=Cause.ALTERED_EVENT)
    return replace(reading, event=ours, cause=None if written.is_due else Cause.NOT_DUE)


def attributes_of_dead_letter(
    attributes: Mapping[str, Any], message_id: str, sent_at_ms: str, deliveries: str
) -> dict[str, Any]:
    """The attributes of a message that its consumer puts into the dead-letter queue. `attributes` are those it came
    with, as Lambda has them; one that was redriven keeps the id and the time that it had at first."""
    kept = {
        name: {"DataType": "String", "StringValue": attribute["stringValue"]}
        for name, attribute in attributes.items()
        if attribute.get("dataType") == "String" and "stringValue" in attribute
    }
    ours = {ORIGINAL_ID: message_id, ORIGINAL_TIME: sent_at_ms, DELIVERIES: deliveries}
    ours |= {name: kept[name]["StringValue"] for name in (ORIGINAL_ID, ORIGINAL_TIME) if name in kept}
    others = [name for name in kept if name not in _OUR_ATTRIBUTES][: _MAX_ATTRIBUTES - len(ours)]
    return {
        **{name: kept[name] for name in others},
        **{name: {"DataType": "String", "StringValue": value} for name, value in ours.items()},
    }


def _faults(error: ValidationError, names: Iterable[str]) -> tuple[str, ...]:
    """E.g. `id: missing`. A name that we did not give may be anything, so it is not repeated: however many faults a
    message has, so few are named."""
    known = set(names)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    named = tuple(dict.fromkeys(f"{_place(detail['loc'], known)}: {detail['type']}" for detail in found))
    return named if len(found) == len(named) else (*named, f"{len(found)} faults in all")


def _place(location: Sequence[str | int], known: Collection[str]) -> str:
    if not location:
        return "body"
    return str(location[0]) if location[0] in known else "a field that is not known"
