"""Writing to the outbox: an event is a row in the same transaction as the change that it reports.

Only the relay (`functions/outbox_relay`) publishes.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import Priority
from orders.events import EventData, Trace
from orders.ids import uuid7

INSERT: Final = """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, priority, not_before, available_at)
    VALUES (:event_id, :event_type, :order_id, CAST(:event_data AS jsonb), :correlation_id, :traceparent,
            :event_priority, CAST(:not_before AS timestamptz), coalesce(CAST(:not_before AS timestamptz), now()))
"""
"""For a statement that has other work to do in the same round trip; `row` gives its parameters."""

_INSERT = text(INSERT)
_INSERT_ALL = text("""
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
    SELECT id, type, :order_id, data, :correlation_id, :traceparent
    FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:data AS jsonb[])) AS event (id, type, data)
""")


def row(
    order_id: UUID,
    event: EventData,
    trace: Trace,
    *,
    priority: Priority = Priority.NORMAL,
    not_before: datetime | None = None,
) -> dict[str, Any]:
    """The parameters of `INSERT` for one new event.

    While others wait as well, one of high priority is published first. With `not_before`, an aware time, it is not
    published earlier by the database's clock; soon after it, if nothing else is waiting.
    """
    return {
        "event_id": uuid7(),
        "event_type": event.type,
        "order_id": order_id,
        "event_data": _json(event),
        "correlation_id": trace.correlation_id,
        "traceparent": trace.traceparent,
        "event_priority": priority,
        "not_before": not_before,
    }


def add(
    connection: Connection,
    order_id: UUID,
    event: EventData,
    trace: Trace,
    *,
    priority: Priority = Priority.NORMAL,
    not_before: datetime | None = None,
) -> None:
    """Adds one event to the caller's transaction; see `row`."""
    connection.execute(_INSERT, row(order_id, event, trace, priority=priority, not_before=not_before))


def add_all(connection: Connection, order_id: UUID, events: Sequence[EventData], trace: Trace) -> None:
    """Adds any number of events to the caller's transaction, in one statement."""
    connection.execute(
        _INSERT_ALL,
        {
            "order_id": order_id,
            "ids": [uuid7() for _ in events],
            "types": [event.type for event in events],
            "data": [_json(event) for event in events],
            "correlation_id": trace.correlation_id,
            "traceparent": trace.traceparent,
        },
    )


def _json(event: EventData) -> str:
    return json.dumps(event.model_dump(mode="json", by_alias=True))
