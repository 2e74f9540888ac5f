"""How the system is, part by part. A part that is down is told of; it takes none of the others with it."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from functions.operations import dependencies
from functions.operations.queues.queue_operations import QueueOperations, QueueState
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import DatabaseUnavailable, ServiceUnavailable
from orders.http import ApiModel
from orders.observability import logger
from orders.openapi import responses
from orders.payments.breaker import CIRCUIT, POLICY

MAX_LAG_SECONDS: Final = 60.0
"""An event that is due has been seen by a relay long before."""
MAX_USED: Final = 0.9
"""Of memory, of the disk, and of the database's connections."""
TEMPORARY: Final = Path("/tmp")
"""The one directory that a Lambda may write to."""

_MB: Final = 1024 * 1024
_PAGE_BYTES: Final = 4096
_WORST_FIRST: Final = ("down", "degraded", "unknown", "up")

# All that the database knows, in one statement: a database that is down is waited for once.
_LOOK: Final = text("""
    SELECT relay.pending, relay.lag_seconds,
           (SELECT count(*) FROM outbox WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END) AS dead,
           unfinished.pending AS orders_pending, unfinished.processing AS orders_processing,
           (SELECT count(*) FROM orders WHERE CASE WHEN status = 'NEEDS_REVIEW' THEN true ELSE false END) AS in_review,
           CASE WHEN circuit.open_until IS NOT NULL
                     OR circuit.window_started_at > now() - make_interval(secs => :window)
                THEN circuit.failures END AS failures,
           circuit.open_until IS NOT NULL AS is_open, circuit.open_until <= now() AS is_probing,
           (SELECT sum(numbackends) FROM pg_stat_database) AS connections,
           CAST(current_setting('max_connections') AS integer) AS max_connections
    FROM (
        SELECT count(*) AS pending,
               CAST(coalesce(extract(epoch FROM now() - min(available_at)), 0) AS float8) AS lag_seconds
        FROM outbox WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END AND available_at <= now()
    ) AS relay CROSS JOIN (
        SELECT count(*) FILTER (WHERE status = 'PENDING') AS pending,
               count(*) FILTER (WHERE status = 'PROCESSING') AS processing
        FROM orders WHERE CASE WHEN status IN ('PENDING', 'PROCESSING') THEN true ELSE false END
    ) AS unfinished LEFT JOIN circuit_breakers AS circuit ON circuit.name = :circuit
""")


class HealthPart(ApiModel):
    """`down` says that the part does not answer, `degraded` that somebody should look at it."""

    status: Literal["up", "degraded", "down", "unknown"]


class DatabaseHealth(HealthPart):
    latency_ms: float | None = Field(description="Of one statement")
    pool_size: int = Field(description="Connections that this process may have")
    pool_in_use: int
    connections: int | None = Field(description="Of all processes, in the database")
    max_connections: int | None


class QueueHealth(HealthPart):
    queues: list[QueueState]


class RelayHealth(HealthPart):
    pending: int | None = Field(description="Events that are due and not published yet")
    lag_seconds: float | None = Field(description="How long the oldest of them has been due")
    dead: int | None


class MemoryHealth(HealthPart):
    used_mb: int
    limit_mb: int


class DiskHealth(HealthPart):
    used_mb: int
    free_mb: int


class CircuitHealth(HealthPart):
    state: Literal["CLOSED", "OPEN", "PROBING"] | None
    failures: int | None = Field(description="In the window that is counted, over all processes")


class OrdersHealth(HealthPart):
    pending: int | None
    processing: int | None
    needs_review: int | None


class DetailedHealth(HealthPart):
    """The status is that of the worst part; it is told with 200 all the same."""

    database: DatabaseHealth
    queues: QueueHealth
    relay: RelayHealth
    memory: MemoryHealth
    disk: DiskHealth
    payment_gateway: CircuitHealth
    orders: OrdersHealth


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/health/detailed", responses=responses())
def get_health() -> DetailedHealth:
    """How each part of the system is. 200 whatever it says: it is the answer that matters."""
    context = router.lambda_context
    # Lambda gives it as text, whatever its type says.
    memory_limit_mb = int(context.memory_limit_in_mb)
    return read_health(dependencies.database, dependencies.queue_operations(context), memory_limit_mb)


@dataclass(frozen=True)
class _Look:
    """What the database said, and how long that took. Nothing, if it did not answer."""

    row: Row[Any] | None
    latency_ms: float | None


def read_health(database: Database, queues: QueueOperations, memory_limit_mb: int) -> DetailedHealth:
    """Looks at every part once."""
    look = _look(database)
    parts: dict[str, HealthPart] = {
        "database": _database(database, look),
        "queues": _queues(queues),
        "relay": _relay(look.row),
        "memory": _memory(memory_limit_mb),
        "disk": _disk(),
        "payment_gateway": _circuit(look.row),
        "orders": _orders(look.row),
    }
    worst = min((part.status for part in parts.values()), key=_WORST_FIRST.index)
    return DetailedHealth.model_validate({**parts, "status": worst})


def _look(database: Database) -> _Look:
    started = time.monotonic()
    try:
        row = database.transact_alone(
            lambda connection: connection.execute(
                _LOOK, {"circuit": CIRCUIT, "window": POLICY.window_seconds}
            ).one()
        )
    # Also what no other attempt would help, as a password that is wrong.
    except (DatabaseUnavailable, SQLAlchemyError):
        logger.warning("The database does not answer", exc_info=True)
        return _Look(None, None)
    return _Look(row, round(1000 * (time.monotonic() - started), 1))


def _database(database: Database, look: _Look) -> DatabaseHealth:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    row = look.row
    crowded = row is not None and row.connections > MAX_USED * row.max_connections
    return DatabaseHealth(
        status="down" if row is None else "degraded" if crowded else "up",
        latency_ms=look.latency_ms,
        pool_size=pool.size(),
        pool_in_use=pool.checkedout(),
        connections=None if row is None else int(row.connections),
        max_connections=None if row is None else row.max_connections,
    )


def _queues(queues: QueueOperations) -> QueueHealth:
    try:
        states = queues.list_queues().items
    except ServiceUnavailable:
        logger.warning("SQS does not answer", exc_info=True)
        return QueueHealth(status="down", queues=[])
    dead = any(state.dlq.visible or state.dlq.in_flight for state in states)
    return QueueHealth(status="degraded" if dead else "up", queues=states)


def _relay(row: Row[Any] | None) -> RelayHealth:
    if row is None:
        return RelayHealth(status="unknown", pending=None, lag_seconds=None, dead=None)
    late = row.lag_seconds > MAX_LAG_SECONDS
    return RelayHealth(
        status="degraded" if late or row.dead else "up",
        pending=row.pending,
        lag_seconds=round(row.lag_seconds, 1),
        dead=row.dead,
    )


def _memory(limit_mb: int) -> MemoryHealth:
    # Resident pages. Not the peak, which says nothing of now.
    used_mb = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES // _MB
    return MemoryHealth(
        status="degraded" if used_mb > MAX_USED * limit_mb else "up", used_mb=used_mb, limit_mb=limit_mb
    )


def _disk() -> DiskHealth:
    usage = shutil.disk_usage(TEMPORARY)
    full = usage.used > MAX_USED * (usage.used + usage.free)
    return DiskHealth(
        status="degraded" if full else "up", used_mb=usage.used // _MB, free_mb=usage.free // _MB
    )


def _circuit(row: Row[Any] | None) -> CircuitHealth:
    if row is None:
        return CircuitHealth(status="unknown", state=None, failures=None)
    if not row.is_open:
        return CircuitHealth(status="up", state="CLOSED", failures=row.failures or 0)
    return CircuitHealth(
        status="degraded", state="PROBING" if row.is_probing else "OPEN", failures=row.failures
    )


def _orders(row: Row[Any] | None) -> OrdersHealth:
    if row is None:
        return OrdersHealth(status="unknown", pending=None, processing=None, needs_review=None)
    return OrdersHealth(
        status="degraded" if row.in_review else "up",
        pending=row.orders_pending,
        processing=row.orders_processing,
        needs_review=row.in_review,
    )
