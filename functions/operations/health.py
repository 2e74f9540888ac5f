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
_SILENT: Final = "it does not answer"
_NOT_ASKED: Final = "the database does not answer"
_WORST_FIRST: Final = ("down", "degraded", "unknown", "up")

# All that the database knows, in one statement: a database that is down is waited for once.
LOOK: Final = text("""
    SELECT relay.pending, relay.lag_seconds,
           (SELECT count(*) FROM outbox WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END) AS dead,
           unfinished.pending AS orders_pending, unfinished.processing AS orders_processing,
           (SELECT count(*) FROM orders WHERE CASE WHEN status = 'NEEDS_REVIEW' THEN true ELSE false END) AS in_review,
           (SELECT count(*) FROM refunds WHERE status IN ('REQUESTED', 'NEEDS_REVIEW') AND status = 'REQUESTED')
               AS refunds_requested,
           (SELECT count(*) FROM refunds WHERE status IN ('REQUESTED', 'NEEDS_REVIEW') AND status = 'NEEDS_REVIEW')
               AS refunds_in_review,
           (SELECT count(*) FROM payments
            WHERE CASE WHEN status IN ('PENDING', 'UNKNOWN') THEN true ELSE false END AND status = 'UNKNOWN')
               AS payments_unknown,
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


LOOKED_FOR: Final = {"circuit": CIRCUIT, "window": POLICY.window_seconds}

CircuitState = Literal["CLOSED", "OPEN", "PROBING"]


class HealthPart(ApiModel):
    """`down` says that the part does not answer, `degraded` that somebody should look at it."""

    status: Literal["up", "degraded", "down", "unknown"]
    reason: str | None = Field(
        description="Why it is not up", examples=["order-processing: 3 messages were given up"]
    )


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
    state: CircuitState | None
    failures: int | None = Field(description="In the window that is counted, over all processes")


class OrdersHealth(HealthPart):
    pending: int | None
    processing: int | None
    needs_review: int | None


class RefundsHealth(HealthPart):
    requested: int | None = Field(description="On their way")
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
    refunds: RefundsHealth


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/health/detailed", responses=responses())
def get_health() -> DetailedHealth:
    """How each part of the system is. 200 whatever it says: it is the answer that matters."""
    context = router.lambda_context
    # Lambda gives it as text, whatever its type says.
    memory_limit_mb = int(context.memory_limit_in_mb)
    return read_health(dependencies.database, dependencies.queue_operations(context), memory_limit_mb)


@dataclass(frozen=True)
class Look:
    """What the database said, and how long that took. Nothing, if it did not answer."""

    row: Row[Any] | None
    latency_ms: float | None


def read_health(database: Database, queues: QueueOperations, memory_limit_mb: int) -> DetailedHealth:
    """Looks at every part once."""
    seen = look(database)
    parts: dict[str, HealthPart] = {
        "database": _database(database, seen),
        "queues": queues_of(queues),
        "relay": relay_of(seen.row),
        "memory": _memory(memory_limit_mb),
        "disk": _disk(),
        "payment_gateway": circuit_of(seen.row),
        "orders": orders_of(seen.row),
        "refunds": refunds_of(seen.row),
    }
    worst = min((part.status for part in parts.values()), key=_WORST_FIRST.index)
    reasons = [f"{name.replace('_', ' ')}: {part.reason}" for name, part in parts.items() if part.reason]
    return DetailedHealth.model_validate({**parts, "status": worst, "reason": "; ".join(reasons) or None})


def look(database: Database) -> Look:
    """All that the database knows of the parts, by one statement."""
    started = time.monotonic()
    try:
        row = database.transact_alone(lambda connection: connection.execute(LOOK, LOOKED_FOR).one())
    # Also what no other attempt would help, as a password that is wrong.
    except (DatabaseUnavailable, SQLAlchemyError):
        logger.warning("The database does not answer", exc_info=True)
        return Look(None, None)
    return Look(row, round(1000 * (time.monotonic() - started), 1))


def _database(database: Database, seen: Look) -> DatabaseHealth:
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    row = seen.row
    reason = None
    if row is None:
        reason = _SILENT
    elif row.connections > MAX_USED * row.max_connections:
        reason = f"{row.connections} of {row.max_connections} connections are in use"
    return DatabaseHealth(
        status="down" if row is None else _degraded_if(reason),
        reason=reason,
        latency_ms=seen.latency_ms,
        pool_size=pool.size(),
        pool_in_use=pool.checkedout(),
        connections=None if row is None else int(row.connections),
        max_connections=None if row is None else row.max_connections,
    )


def queues_of(queues: QueueOperations) -> QueueHealth:
    """The queues, as SQS counts them."""
    try:
        states = queues.list_queues().items
    except ServiceUnavailable:
        logger.warning("SQS does not answer", exc_info=True)
        return QueueHealth(status="down", reason="SQS does not answer", queues=[])
    given_up = [(state.name, state.dlq.visible + state.dlq.in_flight) for state in states]
    reason = "; ".join(f"{name}: {_number(dead, 'message')} given up" for name, dead in given_up if dead)
    return QueueHealth(status=_degraded_if(reason), reason=reason or None, queues=states)


def relay_of(row: Row[Any] | None) -> RelayHealth:
    """The relay, by what waits for it."""
    if row is None:
        return RelayHealth(status="unknown", reason=_NOT_ASKED, pending=None, lag_seconds=None, dead=None)
    reasons = []
    if row.lag_seconds > MAX_LAG_SECONDS:
        reasons.append(f"the oldest of {_number(row.pending, 'event')} waits for {row.lag_seconds:.0f} s")
    if row.dead:
        reasons.append(f"{_number(row.dead, 'event')} could not be published")
    return RelayHealth(
        status=_degraded_if(reasons),
        reason="; ".join(reasons) or None,
        pending=row.pending,
        lag_seconds=round(row.lag_seconds, 1),
        dead=row.dead,
    )


def _memory(limit_mb: int) -> MemoryHealth:
    # Resident pages. Not the peak, which says nothing of now.
    used_mb = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES // _MB
    reason = f"{used_mb} of {limit_mb} MB are in use" if used_mb > MAX_USED * limit_mb else None
    return MemoryHealth(status=_degraded_if(reason), reason=reason, used_mb=used_mb, limit_mb=limit_mb)


def _disk() -> DiskHealth:
    usage = shutil.disk_usage(TEMPORARY)
    full = usage.used > MAX_USED * (usage.used + usage.free)
    reason = f"{usage.free // _MB} MB of {TEMPORARY} are free" if full else None
    return DiskHealth(
        status=_degraded_if(reason), reason=reason, used_mb=usage.used // _MB, free_mb=usage.free // _MB
    )


def circuit_of(row: Row[Any] | None) -> CircuitHealth:
    """The circuit around the payment gateway."""
    if row is None:
        return CircuitHealth(status="unknown", reason=_NOT_ASKED, state=None, failures=None)
    if not row.is_open:
        return CircuitHealth(status="up", reason=None, state="CLOSED", failures=row.failures or 0)
    rest = "the next call decides" if row.is_probing else "no function calls it for now"
    return CircuitHealth(
        status="degraded",
        reason=f"the payment gateway failed {_number(row.failures, 'time')} in a row: {rest}",
        state=circuit_state(row),
        failures=row.failures,
    )


def circuit_state(row: Row[Any]) -> CircuitState:
    """Of the payment gateway's circuit."""
    if not row.is_open:
        return "CLOSED"
    return "PROBING" if row.is_probing else "OPEN"


def orders_of(row: Row[Any] | None) -> OrdersHealth:
    """Orders that are not over."""
    if row is None:
        return OrdersHealth(
            status="unknown", reason=_NOT_ASKED, pending=None, processing=None, needs_review=None
        )
    return OrdersHealth(
        status=_degraded_if(row.in_review),
        reason=f"{_number(row.in_review, 'order')} under review" if row.in_review else None,
        pending=row.orders_pending,
        processing=row.orders_processing,
        needs_review=row.in_review,
    )


def refunds_of(row: Row[Any] | None) -> RefundsHealth:
    """Refunds that are not over."""
    if row is None:
        return RefundsHealth(status="unknown", reason=_NOT_ASKED, requested=None, needs_review=None)
    return RefundsHealth(
        status=_degraded_if(row.refunds_in_review),
        reason=f"{_number(row.refunds_in_review, 'refund')} under review" if row.refunds_in_review else None,
        requested=row.refunds_requested,
        needs_review=row.refunds_in_review,
    )


def _degraded_if(reason: object) -> Literal["up", "degraded"]:
    return "degraded" if reason else "up"


def _number(count: int, of_what: str) -> str:
    return f"{count} {of_what}" if count == 1 else f"{count} {of_what}s"
