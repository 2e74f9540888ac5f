"""The routes of operators: `/admin/…` and the detailed health."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.operations import answers, order_routes, queue_routes, world
from functions.operations.health import read_health
from functions.operations.models import DetailedHealth
from orders.contract import API_PREFIX
from orders.http import Api
from orders.observability import instrumented

api = Api()
api.include_router(queue_routes.router)
api.include_router(order_routes.router)


@api.get(f"{API_PREFIX}/health/detailed", responses=answers.HEALTH)
def get_health() -> DetailedHealth:
    """How each part of the system is. 200 whatever it says: it is the answer that matters."""
    context = api.lambda_context
    # Lambda gives it as text, whatever its type says.
    return read_health(world.database, world.queues(context), int(context.memory_limit_in_mb))


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
