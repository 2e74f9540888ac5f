"""What the detailed health returns."""

from typing import Literal

from pydantic import Field

from functions.operations.queues.models import QueueState
from orders.http import ApiModel


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
    failures: int | None = Field(description="In a row, over all processes")


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
