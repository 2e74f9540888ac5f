"""Whether events wait for their publication: the relay cannot say so when it has stopped."""

from typing import Final

from aws_lambda_powertools.metrics import MetricUnit
from sqlalchemy import text

from orders.contract import Metric
from orders.db import Database
from orders.observability import count

_DUE: Final = text("""
    SELECT count(*) AS events,
           CAST(1000 * coalesce(extract(epoch FROM now() - min(available_at)), 0) AS float8) AS waiting_ms
    FROM outbox WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END AND available_at <= now()
""")


def watch_outbox(database: Database) -> int:
    """Counts how long the oldest event that is due has waited, also if there is none. Returns how many are due."""
    due = database.transact_alone(lambda connection: connection.execute(_DUE).one())
    count(Metric.OUTBOX_WAITING, due.waiting_ms, MetricUnit.Milliseconds)
    return int(due.events)
