"""The route of the detailed health."""

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.health.checks import read_health
from functions.operations.health.models import DetailedHealth
from orders.contract import API_PREFIX
from orders.openapi import responses

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/health/detailed", responses=responses())
def get_health() -> DetailedHealth:
    """How each part of the system is. 200 whatever it says: it is the answer that matters."""
    context = router.lambda_context
    # Lambda gives it as text, whatever its type says.
    memory_limit_mb = int(context.memory_limit_in_mb)
    return read_health(dependencies.database, dependencies.queue_operations(context), memory_limit_mb)
