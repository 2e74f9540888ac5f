"""The relay's SQL: claiming outbox rows, and recording what became of them.

Rows are claimed by status, never by a cursor: ids and timestamps are given out before their transactions commit, so
a row may become visible after later ones were published. A claim is a token and a lease; the lease is nothing but
the time before which nobody else claims the row. Only the database's clock is asked.

Of events that are due, those of high priority go first, up to a share of each claim: the rest of it is for normal ones,
so these go on, slower, however many urgent ones there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from orders.db import Database
from orders.domain import Priority

LEASE_SECONDS: Final = 60
"""Longer than a claimed event can take to be sent and marked; a killed relay's events wait this long."""
KEPT_FOR_NORMAL: Final = 0.2
"""The share of a claim that high priority leaves to the others."""

# The CASE is the condition of `outbox_due`.
_DUE: Final = """
    SELECT id FROM outbox
    WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END
      AND priority = '{priority}' AND available_at <= now()
    ORDER BY available_at, id
    LIMIT {limit}
    FOR UPDATE SKIP LOCKED
"""

# The ids go through an array, because of `IN (SELECT …)` the planner may make a join: that reads the whole table, or
# runs the subquery more than once and claims more than its limit.
_CLAIM: Final = text(f"""
    WITH high AS MATERIALIZED ({_DUE.format(priority=Priority.HIGH, limit=":high_limit")}),
    normal AS MATERIALIZED (
        {_DUE.format(priority=Priority.NORMAL, limit=":limit - (SELECT count(*) FROM high)")}
    )
    UPDATE outbox
    SET claim_token = :token, attempts = attempts + 1, available_at = now() + make_interval(secs => :lease_seconds)
    WHERE id = ANY (ARRAY(SELECT id FROM high UNION ALL SELECT id FROM normal))
    RETURNING id, type, subject, CAST(data AS text) AS data, correlation_id, traceparent, priority, created_at,
              attempts, refusals
""")

_MARK_PUBLISHED: Final = text("""
    WITH published AS (
        UPDATE outbox SET status = 'PUBLISHED', published_at = now()
        FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[])) AS sent (id, token)
        WHERE outbox.id = sent.id AND claim_token = sent.token AND status = 'PENDING'
        RETURNING greatest(created_at, not_before) AS ready_at
    )
    SELECT CAST(1000 * extract(epoch FROM now() - min(ready_at)) AS float8) FROM published
""")

_BACK_OFF: Final = text("""
    UPDATE outbox
    SET available_at = now() + make_interval(secs => failed.delay_seconds), refusals = failed.refusals,
        last_error = failed.error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:delays AS float8[]), CAST(:refusals AS int[]),
                CAST(:errors AS text[])) AS failed (id, token, delay_seconds, refusals, error)
    WHERE outbox.id = failed.id AND claim_token = failed.token AND status = 'PENDING'
""")

_BURY: Final = text("""
    UPDATE outbox SET status = 'DEAD', refusals = outbox.refusals + 1, last_error = failed.error
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS uuid[]), CAST(:errors AS text[])) AS failed (id, token, error)
    WHERE outbox.id = failed.id AND claim_token = failed.token AND status = 'PENDING'
""")


@dataclass(frozen=True)
class ClaimedEvent:
    """An outbox row that is ours to send until its lease ends."""

    id: UUID
    token: UUID
    type: str
    subject: UUID
    data: str
    """JSON, not parsed: a row whose data cannot be parsed must not take the others of its claim with it."""
    correlation_id: str
    traceparent: str
    priority: Priority
    created_at: datetime
    attempts: int
    """Including this one."""
    refusals: int


@dataclass(frozen=True)
class BackOff:
    """An event to be tried again after `delay_seconds`. `refusals` is its new count."""

    event: ClaimedEvent
    delay_seconds: float
    refusals: int
    error: str


@dataclass(frozen=True)
class Burial:
    """An event to be given up."""

    event: ClaimedEvent
    error: str


class Claims:
    """Each method is one transaction of one statement, for any number of rows.

    What the three that record an outcome say of a row is ignored if its token has changed: its lease had ended and
    another relay has it. It is then published twice, and its consumer deduplicates.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, limit: int) -> list[ClaimedEvent]:
        """Up to `limit` events that are due: urgent ones before normal ones, longest due first. Of urgent ones alone
        it is fewer, see `KEPT_FOR_NORMAL`. Other relays' claims are passed over.

        If the connection is lost around COMMIT, the rows of that claim may stay leased without being sent until the
        lease ends.
        """
        token = uuid4()

        def work(connection: Connection) -> list[ClaimedEvent]:
            parameters = {
                "token": token,
                "lease_seconds": LEASE_SECONDS,
                "limit": limit,
                "high_limit": most_urgent(limit),
            }
            return [
                ClaimedEvent(**{**row, "token": token, "priority": Priority(row["priority"])})
                for row in connection.execute(_CLAIM, parameters).mappings()
            ]

        return self._database.transact_alone(work)

    def mark_published(self, events: Sequence[ClaimedEvent]) -> float | None:
        """Marks events that SQS confirmed. Returns the milliseconds since the oldest of them was written (or could be
        published, if that was later), or None if none was still ours."""
        parameters = _keys(events)

        def work(connection: Connection) -> float | None:
            lag_ms: float | None = connection.scalar(_MARK_PUBLISHED, parameters)
            return lag_ms

        return self._database.transact_alone(work)

    def back_off(self, failures: Sequence[BackOff]) -> None:
        """Makes failed events due again after their delays, instead of at the end of their leases."""
        parameters = {
            **_keys([failure.event for failure in failures]),
            "delays": [failure.delay_seconds for failure in failures],
            "refusals": [failure.refusals for failure in failures],
            "errors": [failure.error for failure in failures],
        }
        self._database.transact_alone(lambda connection: connection.execute(_BACK_OFF, parameters))

    def bury(self, failures: Sequence[Burial]) -> None:
        """Makes events DEAD: nobody claims them any more."""
        parameters = {
            **_keys([failure.event for failure in failures]),
            "errors": [failure.error for failure in failures],
        }
        self._database.transact_alone(lambda connection: connection.execute(_BURY, parameters))


def most_urgent(limit: int) -> int:
    """How many events of a claim may be of high priority; all of it, if it is too small to share."""
    return limit - int(limit * KEPT_FOR_NORMAL)


def _keys(events: Sequence[ClaimedEvent]) -> dict[str, list[UUID]]:
    return {"ids": [event.id for event in events], "tokens": [event.token for event in events]}
