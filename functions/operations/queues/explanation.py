"""What a message in a dead-letter queue was, and why it is there, from its own words and from what the tables know.

Nothing of a message is repeated that was not checked before: what cannot be read may hold anything.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row, text

from functions.operations.queues.dead_letters import DeadLetter
from functions.operations.queues.redaction import redacted
from orders.db import Database
from orders.domain import OrderStatus, RefundStatus
from orders.events import CONSUMER_OF, NotificationRequested, OrderCreated, Queue, RefundRequested
from orders.executions import subject_of
from orders.http import ApiModel
from orders.mail_feedback import MailEvent
from orders.messages import WRITTEN, Cause, Poison, Reading, checked, read, read_hint
from orders.observability import shortened, valid_correlation_id
from orders.payments.records import UNDECIDED
from orders.payments.webhooks import ProviderMessage

_TYPE: Final = re.compile(r"com\.orders(\.[a-z]+)+\.v[0-9]+")


_HINTS: Final[Mapping[Queue, type[BaseModel]]] = {
    Queue.MAIL_FEEDBACK: MailEvent,
    Queue.PAYMENT_WEBHOOKS: ProviderMessage,
}
"""What the messages of queues are that carry no events of ours."""

_ADVICE: Final = {
    Cause.NOT_AN_EVENT: "This is no event of ours. Find out who sent it, then discard it.",
    Cause.UNKNOWN_TYPE: "No consumer knows this type. Deploy one that does and redrive it, or discard it.",
    Cause.WRONG_QUEUE: "This type is consumed from another queue. Find out who sent it here, then discard it.",
    Cause.INVALID_DATA: "Its data does not fit its type. Deploy what can read it and redrive it, or discard it.",
    Cause.NO_SUCH_ORDER: "The event's order does not exist. Discard it.",
    Cause.UNKNOWN_EVENT: "We have written no event of this id. Find out who sent it, then discard it.",
    Cause.ALTERED_EVENT: "It says something else than the event of its id. Find out who sent it, then discard it.",
    Cause.NOT_DUE: "The event was not due yet. Find out who sent it, then discard it: it comes again by itself.",
    Cause.ALREADY_DONE: "The event has taken effect by now. Discard it.",
    Cause.CONSUMER_FAILED: "Its consumer failed each time. Put right what it failed of, then redrive it.",
}

_LOOK_UP: Final = text(f"""
    SELECT wanted.event_id AS wanted_id, wanted.order_id, {WRITTEN},
           orders.status AS order_status, inbox.event_id IS NOT NULL AS is_processed,
           payments.status AS payment_status, told.status AS notification_status, told.error AS notification_error,
           refund.status AS refund_status, refund.error AS refund_error,
           outbox.status AS outbox_status, outbox.last_error AS outbox_error,
           (SELECT array_agg(step || ': ' || error ORDER BY at, step) FROM saga_steps
            WHERE saga_steps.order_id = wanted.order_id AND error IS NOT NULL) AS step_errors
    FROM unnest(CAST(:event_ids AS uuid[]), CAST(:order_ids AS uuid[]), CAST(:notifications AS text[]),
                CAST(:channels AS text[]), CAST(:refund_ids AS uuid[]))
        AS wanted (event_id, order_id, notification, channel, refund_id)
    LEFT JOIN orders ON orders.id = wanted.order_id
    LEFT JOIN outbox ON outbox.id = wanted.event_id
    LEFT JOIN inbox ON inbox.consumer = :consumer AND inbox.event_id = wanted.event_id
    LEFT JOIN payments ON payments.order_id = wanted.order_id
    LEFT JOIN refunds AS refund ON refund.id = wanted.refund_id AND refund.order_id = wanted.order_id
    LEFT JOIN LATERAL (
        SELECT status, error FROM notifications
        WHERE (order_id, type, channel) = (wanted.order_id, wanted.notification, wanted.channel)
          AND wanted.refund_id IS NULL
        UNION ALL
        SELECT status, error FROM notifications
        WHERE (refund_id, type, channel) = (refund.id, wanted.notification, wanted.channel)
    ) AS told ON true
""")


_POINTLESS: Final = frozenset(
    {Cause.ALREADY_DONE, Cause.NO_SUCH_ORDER, Cause.UNKNOWN_EVENT, Cause.ALTERED_EVENT}
)
_MAX_ERRORS: Final = 30
_MAX_ERROR: Final = 200
"""Errors of one message, and characters of one."""


class DeadMessage(ApiModel):
    """A message that was given up, and why as far as can be told."""

    message_id: str
    original_message_id: str = Field(
        description="The id that it had in its queue, where its consumer gave it up at once"
    )
    received: int = Field(description="Deliveries so far, also by looking at it")
    deliveries: int = Field(description="Those to its consumer")
    sent_at: datetime = Field(description="When it was first sent to its queue")
    age_seconds: int = Field(description="Since then")
    size: int = Field(description="Bytes of its body")
    body: str = Field(description="The body without its values, and cut: names and kinds of what it holds")
    event_id: UUID | None
    event_type: str | None
    order_id: UUID | None
    order_status: OrderStatus | None
    correlation_id: str | None = Field(description="Finds its log lines")
    cause: str = Field(description="A code; docs/operations.md has a section for each")
    explanation: str
    errors: list[str] = Field(description="Codes of what went wrong, oldest first; never content")


def explain(database: Database, queue: Queue, letters: Sequence[DeadLetter]) -> list[DeadMessage]:
    """Each message explained, with one statement for all of them.

    Raises:
        DatabaseUnavailable: try again.
    """
    readings = [_read(queue, letter.body) for letter in letters]
    known = _look_up(database, queue, readings)
    return [
        _explained(letter, reading, claim, known.get(claim.ids) if claim else None)
        for letter, (reading, claim) in zip(letters, readings, strict=True)
    ]


class _Claim(NamedTuple):
    """What a message says that it is about. True as far as the tables know of it."""

    event_id: UUID
    subject: UUID
    type: str
    correlation_id: str

    @property
    def ids(self) -> tuple[UUID, UUID]:
        return self.event_id, self.subject


def _read(queue: Queue, body: str) -> tuple[Reading, _Claim | None]:
    hint = _HINTS.get(queue)
    if hint is None:
        reading = read(queue, body)
        if (event := reading.event) is None:
            return reading, None
        return reading, _Claim(event.id, event.subject, event.type, event.correlationid)
    try:
        message = read_hint(hint, body)
    except Poison as poison:
        return Reading(cause=poison.cause, faults=poison.faults), None
    if not isinstance(message, ProviderMessage) or (order_id := subject_of(message.key or "")) is None:
        return Reading(), None
    return Reading(), _Claim(message.id, order_id, message.type, message.correlation_id)


def is_done(explained: DeadMessage) -> bool:
    """Whether redriving it could change nothing any more."""
    return explained.cause in _POINTLESS


def _look_up(
    database: Database, queue: Queue, readings: Iterable[tuple[Reading, _Claim | None]]
) -> Mapping[tuple[UUID, UUID], Row[Any]]:
    """What the tables know, by the ids of event and order that messages claim."""
    events = {claim.ids: reading for reading, claim in readings if claim}
    if not events:
        return {}
    asked = [
        reading.payload if isinstance(reading.payload, NotificationRequested) else None
        for reading in events.values()
    ]
    parameters = {
        "event_ids": [event_id for event_id, _ in events],
        "order_ids": [order_id for _, order_id in events],
        "notifications": [request.notification if request else None for request in asked],
        "channels": [request.channel if request else None for request in asked],
        "refund_ids": [getattr(reading.payload, "refund_id", None) for reading in events.values()],
        "consumer": CONSUMER_OF.get(queue, ""),
    }
    rows = database.transact_alone(lambda connection: connection.execute(_LOOK_UP, parameters).all())
    return {(row.wanted_id, row.order_id): row for row in rows}


def _explained(
    letter: DeadLetter, reading: Reading, claim: _Claim | None, known: Row[Any] | None
) -> DeadMessage:
    cause = _cause(reading, known)
    return DeadMessage(
        message_id=letter.message_id,
        original_message_id=letter.original_id,
        received=letter.received,
        deliveries=letter.deliveries,
        sent_at=letter.sent_at,
        age_seconds=letter.age_seconds,
        size=len(letter.body.encode()),
        body=redacted(letter.body),
        event_id=claim.event_id if claim else None,
        event_type=claim.type if claim and _TYPE.fullmatch(claim.type) else None,
        order_id=claim.subject if claim and reading.is_of_order else None,
        order_status=OrderStatus(known.order_status) if known and known.order_status else None,
        correlation_id=valid_correlation_id(claim.correlation_id) if claim else None,
        cause=cause,
        explanation=_ADVICE[cause],
        errors=[shortened(error, _MAX_ERROR) for error in (*reading.faults, *_recorded(known))[:_MAX_ERRORS]],
    )


def _cause(reading: Reading, known: Row[Any] | None) -> Cause:
    if reading.cause is not None:
        return reading.cause
    if reading.event is None:
        return Cause.ALREADY_DONE if known and known.is_processed else Cause.CONSUMER_FAILED
    if known is None or (reading.is_of_order and known.order_status is None):
        return Cause.NO_SUCH_ORDER
    written = None if known.event_id is None else known
    poison = checked(reading, written).cause
    # What was not due when it came may be by now; and what its consumer has dealt with is done, however it came.
    if poison is not None and poison is not Cause.NOT_DUE:
        return poison
    # Whatever an order's saga is waiting for, it is not this event any more: maintenance looks after it.
    is_started = isinstance(reading.payload, OrderCreated) and known.order_status != OrderStatus.PENDING
    if isinstance(reading.payload, RefundRequested):
        is_started = known.refund_status != RefundStatus.REQUESTED
    if known.is_processed or is_started:
        return Cause.ALREADY_DONE
    return poison or Cause.CONSUMER_FAILED


def _recorded(known: Row[Any] | None) -> list[str]:
    """What the tables know of failures around the event: codes, as they were recorded."""
    if known is None:
        return []
    recorded = list(known.step_errors or ())
    if known.payment_status in UNDECIDED:
        recorded.append(f"payment: {known.payment_status}")
    if known.refund_error is not None:
        recorded.append(f"refund {known.refund_status}: {known.refund_error}")
    if known.notification_error is not None:
        recorded.append(f"notification {known.notification_status}: {known.notification_error}")
    if known.outbox_error is not None:
        recorded.append(f"outbox {known.outbox_status}: {known.outbox_error}")
    return recorded
