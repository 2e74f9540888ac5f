"""What is counted for operators, in the database: each thing once, however many processes there are.

Whoever counts adds a row to `counted`, in the transaction of what it counts: triggers do it for the ends of orders, for
the inbox and for compensations (migration 0019), `count` for what has no row of its own. `fold` adds such rows up in
`counters` and removes them; `read` returns the sums with what is not folded yet. Nothing is ever taken away from a
counter, so it never goes back, and a row is counted once, whoever folds at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from sqlalchemy import Connection, text

from orders.db import Database
from orders.errors import DatabaseUnavailable
from orders.events import Queue
from orders.observability import logger

FOLD_LIMIT: Final = 10_000
"""Rows that one `fold` takes: some ten milliseconds."""

BOUNDS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, inf)
"""Seconds: the upper bounds of the histograms of what has a duration. Most orders take seconds; one that waits for its
customer takes as long as its stock is held, 15 minutes."""


class Counter(StrEnum):
    """The counters; rows of the tables have these names."""

    ORDERS_PROCESSED = "orders_processed"
    """By the status that the order ended in, with the seconds since it was placed."""
    QUEUE_JOBS_COMPLETED = "queue_jobs_completed"
    """By the consumer of the inbox, or by the queue where the consumer has none."""
    SAGA_COMPENSATIONS = "saga_compensations"
    """By the compensation."""
    HTTP_REQUEST_DURATION = "http_request_duration"
    """By method and route, `GET /api/v1/orders`."""


_COUNT: Final = text("""
    INSERT INTO counted (counter, label) SELECT :counter, :label FROM generate_series(1, :number)
""")

# The bucket is the first bound that is not exceeded. What has no duration is all in the last one.
_BUCKET: Final = """
    coalesce((SELECT min(bound) FROM unnest(CAST(:bounds AS float8[])) AS bound WHERE bound >= seconds), 'Infinity')
"""
_BUCKETED: Final = f"SELECT counter, label, {_BUCKET} AS bucket, seconds"
_SUMS: Final = "count(*) AS events, coalesce(sum(seconds), 0) AS seconds"
ADD: Final = """
    ON CONFLICT (counter, label, bucket) DO UPDATE
    SET events = counters.events + excluded.events, seconds = counters.seconds + excluded.seconds
"""
"""The end of a statement that inserts into `counters`."""

# Rows that another fold has in hand are passed over. In a fixed order, so that two folds at once cannot deadlock.
FOLD: Final = text(f"""
    WITH taken AS (
        DELETE FROM counted WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM counted LIMIT :limit FOR UPDATE SKIP LOCKED
        ))
        RETURNING counter, label, seconds
    ), added AS (
        INSERT INTO counters (counter, label, bucket, events, seconds)
        SELECT counter, label, bucket, {_SUMS}
        FROM ({_BUCKETED} FROM taken) AS bucketed
        GROUP BY counter, label, bucket
        ORDER BY counter, label, bucket
        {ADD}
    )
    SELECT count(*) FROM taken
""")

# One statement sees one moment: a row is in one of the two tables then, never in both or neither.
_READ: Final = text(f"""
    SELECT counter, label, bucket, CAST(sum(events) AS bigint) AS events, sum(seconds) AS seconds
    FROM (
        SELECT counter, label, bucket, events, seconds FROM counters
        UNION ALL
        SELECT counter, label, bucket, {_SUMS} FROM ({_BUCKETED} FROM counted) AS bucketed
        GROUP BY counter, label, bucket
    ) AS both_tables
    GROUP BY counter, label, bucket
    ORDER BY counter, label, bucket
""")


@dataclass(frozen=True)
class Count:
    """What was counted of one label: what took up to `bucket` seconds and more than the bound before it."""

    counter: str
    label: str
    bucket: float
    events: int
    seconds: float
    """Of all of them together."""


def count_jobs(database: Database, queue: Queue, number: int = 1) -> None:
    """Counts jobs of a queue whose consumer has no inbox, after they are done. Who is delivered again counts again.

    A database that is not there is no reason to do them again: they are not counted then.
    """
    parameters = {"counter": Counter.QUEUE_JOBS_COMPLETED, "label": queue, "number": number}
    try:
        database.transact_alone(lambda connection: connection.execute(_COUNT, parameters))
    except DatabaseUnavailable:
        logger.warning("Jobs were not counted", queue=queue, number=number)


def fold(connection: Connection, limit: int = FOLD_LIMIT) -> int:
    """Adds up to `limit` of what was counted to the sums, and returns how many that were. One statement."""
    folded: int = connection.execute(FOLD, {"limit": limit, "bounds": list(BOUNDS)}).scalar_one()
    return folded


def read(connection: Connection) -> Sequence[Count]:
    """Everything counted so far, by counter, label and bucket. One statement."""
    rows = connection.execute(_READ, {"bounds": list(BOUNDS)})
    return [Count(row.counter, row.label, row.bucket, row.events, row.seconds) for row in rows]
