"""The route that a Prometheus server reads."""

from typing import Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from sqlalchemy import Row

from functions.operations import dependencies, health
from functions.operations.queues.queue_operations import QueueOperations, QueueState
from orders import counters
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import ServiceUnavailable
from orders.observability import logger
from orders.openapi import responses

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(
    f"{API_PREFIX}/metrics",
    responses=responses(content={"application/openmetrics-text": {"type": "string"}}),
)
def get_metrics() -> Response[str]:
    """The metrics of the whole system as OpenMetrics text, for a Prometheus server."""
    queues = dependencies.queue_operations(router.lambda_context)
    return Response(status_code=200, content_type=CONTENT_TYPE, body=scrape(dependencies.database, queues))


def scrape(database: Database, queues: QueueOperations) -> str:
    """Everything, as OpenMetrics text. A source that does not answer leaves its own metrics out.

    Raises:
        DatabaseUnavailable: try again.
    """
    # At the first use: most requests of this function are for something else.
    from prometheus_client.openmetrics.exposition import generate_latest

    from functions.operations.metrics.families import Scrape

    requests_are_known = _take_over_requests(database)
    # Maintenance does it every minute; this keeps a scrape short when nobody maintains.
    database.transact_alone(counters.fold)
    look: Row[object] = database.transact_alone(
        lambda connection: connection.execute(health.LOOK, health.LOOKED_FOR).one()
    )
    found = Scrape(
        counts=database.transact_alone(counters.read),
        look=look,
        queues=_queues(queues),
        requests_are_known=requests_are_known,
    )
    exposed: bytes = generate_latest(found)  # type: ignore[no-untyped-call]  # the library's own gap
    return exposed.decode()


def _take_over_requests(database: Database) -> bool:
    try:
        dependencies.request_durations().take_over(database)
    except ServiceUnavailable:
        logger.warning("CloudWatch does not answer", exc_info=True)
        return False
    return True


def _queues(queues: QueueOperations) -> list[QueueState] | None:
    try:
        return queues.list_queues().items
    except ServiceUnavailable:
        logger.warning("SQS does not answer", exc_info=True)
        return None
