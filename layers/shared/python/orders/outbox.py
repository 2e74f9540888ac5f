"""Writing to the outbox: an event is a row in the same transaction as the change that it reports.

Only the relay (`functions/outbox_relay`) publishes.
"""

import json
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.events import EventData
from orders.ids import uuid7
from orders.trace import Trace

INSERT: Final = """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
    VALUES (:event_id, :event_type, :order_id, CAST(:event_data AS jsonb), :correlation_id, :traceparent)
"""
"""For a statement that has other work to do in the same round trip; `row` gives its parameters."""

_INSERT = text(INSERT)


def row(order_id: UUID, event: EventData, trace: Trace) -> dict[str, Any]:
    """The parameters of `INSERT` for one new event."""
    return {
        "event_id": uuid7(),
        "event_type": event.type,
        "order_id": order_id,
        "event_data": json.dumps(event.model_dump(mode="json", by_alias=True)),
        "correlation_id": trace.correlation_id,
        "traceparent": trace.traceparent,
    }


def add(connection: Connection, order_id: UUID, event: EventData, trace: Trace) -> None:
    """Adds one event to the caller's transaction."""
    connection.execute(_INSERT, row(order_id, event, trace))
