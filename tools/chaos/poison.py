"""What nobody can process: messages for the queues, rows for the outbox. Each can be recognised by its mark."""

import json
from typing import Any, Final
from uuid import UUID

from orders.events import CATALOGUE, CloudEvent, InventoryReserved, Queue
from orders.ids import uuid7
from orders.tracing import new_traceparent
from tools.chaos.plan import DeadEvent, Poison

MARK: Final = "chaos-poison"
UNKNOWN_TYPE: Final = "com.orders.chaos.planted.v1"

PLANT: Final = """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
    SELECT :id, :type, id, CAST(:data AS jsonb), :mark, :traceparent FROM orders ORDER BY id DESC LIMIT 1
    RETURNING subject
"""


def message(queue: Queue, poison: Poison) -> tuple[str, str]:
    """A message that the queue's consumer has no use for: its mark, and its body."""
    mark = f"{MARK}-{uuid7()}"
    match poison:
        case Poison.NO_EVENT:
            return mark, f"not an event: {mark}"
        case Poison.NO_FIELDS:
            return mark, json.dumps({"specversion": "1.0", "correlationid": mark})
        case Poison.FOREIGN:
            event_type = next(name for name, event in CATALOGUE.items() if event.queue is not queue)
        case Poison.UNFIT:
            # None of our events fits a queue of hints.
            event_type = next(
                (name for name, event in CATALOGUE.items() if event.queue is queue), UNKNOWN_TYPE
            )
    event = CloudEvent(
        id=uuid7(),
        type=event_type,
        subject=uuid7(),
        time="2026-01-01T00:00:00Z",
        correlationid=mark,
        traceparent=new_traceparent(),
        data={"planted": True},
    )
    return mark, event.model_dump_json()


def is_planted(body: str) -> bool:
    """Whether a message is one of these."""
    return MARK in body


def outbox_row(event_id: UUID, flaw: DeadEvent) -> dict[str, Any]:
    """The parameters of `PLANT`, which adds the row to the newest order's."""
    return {
        "id": event_id,
        "type": UNKNOWN_TYPE if flaw is DeadEvent.UNKNOWN_TYPE else InventoryReserved.type,
        "data": json.dumps({"planted": True}),
        "mark": MARK,
        "traceparent": new_traceparent(),
    }
