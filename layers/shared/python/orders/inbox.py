"""Each (consumer, event) takes effect once, however often the queue delivers it (promise I9)."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.events import Consumer

_RECORD: Final = text("""
    INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event_id)
    ON CONFLICT DO NOTHING
    RETURNING event_id
""")

_FIND: Final = text("SELECT event_id FROM inbox WHERE consumer = :consumer AND event_id = :event_id")


def record(connection: Connection, consumer: Consumer, event_id: UUID) -> bool:
    """Records the delivery in the caller's transaction. True: it is the first. False: an earlier one was committed.

    A concurrent delivery of the same event waits here until the first one commits or rolls back. Call it in the
    transaction that has the effect, or the two can come apart.
    """
    recorded = connection.execute(_RECORD, {"consumer": consumer, "event_id": event_id})
    return recorded.first() is not None


def was_processed(connection: Connection, consumer: Consumer, event_id: UUID) -> bool:
    """Whether a committed delivery is on record; for an effect outside the database, which is recorded after it."""
    return connection.execute(_FIND, {"consumer": consumer, "event_id": event_id}).first() is not None
