"""The system in numbers, for an overview that is looked at every few seconds.

Nothing that is over is counted but for the last hour, so what it costs does not grow with the orders that there are.
"""

from datetime import datetime
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import text

from functions.operations import dependencies, health
from functions.operations.health import (
    CircuitHealth,
    OrdersHealth,
    QueueHealth,
    RefundsHealth,
    RelayHealth,
)
from functions.operations.orders.records import id_at
from functions.operations.queues.queue_operations import QueueOperations
from orders.conditional import etag
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import OrderStatus
from orders.http import ApiModel, json_response
from orders.openapi import responses

MOST_COUNTED: Final = 50_000
"""Orders of the last hour that are counted in each status; more are more than production is sized for."""

# Each part reads an index that holds little else. An order by what is the same in all rows: only the index of orders by
# status has them in this order; by the primary key the orders of the hour would be read once for each status.
COUNT: Final = text(f"""
    SELECT (SELECT count(*) FROM payments
            WHERE CASE WHEN status IN ('PENDING', 'UNKNOWN') THEN true ELSE false END AND status = 'UNKNOWN')
               AS unknown_payments,
           (SELECT count(*) FROM stock WHERE low_since IS NOT NULL) AS low_stock,
           (SELECT min(created_at) FROM outbox
            WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END AND available_at <= now()) AS oldest_event_at,
           (SELECT jsonb_object_agg(lower(status.name), recent.orders)
            FROM unnest(CAST(:statuses AS text[])) AS status (name) CROSS JOIN LATERAL (
                SELECT count(*) AS orders FROM (
                    SELECT id FROM orders
                    WHERE orders.status = ANY (ARRAY[status.name])
                      AND id >= {id_at("now() - interval '1 hour'", "0")}
                    ORDER BY orders.status, id DESC
                    LIMIT {MOST_COUNTED}
                ) AS counted
            ) AS recent) AS last_hour
""")


class RecentOrders(ApiModel):
    """Orders that were placed in the last hour, by the status that they have now; each counted up to 50,000."""

    pending: int
    processing: int
    confirmed: int
    cancelled: int
    needs_review: int


class RelayStats(RelayHealth):
    oldest_event_at: datetime | None = Field(
        description="When the oldest event that is due and not published was written"
    )


class Stats(ApiModel):
    """Orders that are over are counted for the last hour only."""

    orders: OrdersHealth = Field(description="Orders that are not over, now")
    last_hour: RecentOrders
    sagas_in_flight: int = Field(description="Orders that an execution works on")
    relay: RelayStats
    queues: QueueHealth
    payment_gateway: CircuitHealth
    unknown_payments: int = Field(description="Payments whose outcome the payment gateway has not told yet")
    refunds: RefundsHealth
    low_stock_products: int = Field(description="Products with a low-stock alert")


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/stats", responses=responses(headers=["ETag"]))
def get_stats() -> Response[Stats]:
    """The system in numbers, for an overview. Ask with `If-None-Match`: while nothing moves, nothing is sent."""
    stats = read_stats(dependencies.database, dependencies.queue_operations(router.lambda_context))
    return json_response(stats, headers={"ETag": etag(stats)})


def read_stats(database: Database, queues: QueueOperations) -> Stats:
    """Counts, by two statements and what SQS says of its queues.

    Raises:
        DatabaseUnavailable: try again.
    """
    asked: dict[str, Any] = {"statuses": [*OrderStatus]}
    row = database.transact_alone(lambda connection: connection.execute(COUNT, asked).one())
    seen = health.look(database)
    orders = health.orders_of(seen.row)
    return Stats(
        orders=orders,
        last_hour=RecentOrders.of(row.last_hour),
        sagas_in_flight=orders.processing or 0,
        relay=RelayStats.of(vars(health.relay_of(seen.row)), oldest_event_at=row.oldest_event_at),
        queues=health.queues_of(queues),
        payment_gateway=health.circuit_of(seen.row),
        unknown_payments=row.unknown_payments,
        refunds=health.refunds_of(seen.row),
        low_stock_products=row.low_stock,
    )
