"""The routes of operators: `/admin/…` and the detailed health."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.operations import (
    customers,
    health,
    notifications,
    outbox,
    payments,
    stats,
    suppressed_addresses,
    webhooks,
)
from functions.operations.logs import routes as logs
from functions.operations.metrics import routes as metrics
from functions.operations.orders import routes as orders
from functions.operations.queues import routes as queues
from functions.operations.refunds import routes as refunds
from orders.http import Api
from orders.observability import instrumented

api = Api()
for subject in (
    queues,
    outbox,
    orders,
    refunds,
    logs,
    notifications,
    payments,
    webhooks,
    customers,
    suppressed_addresses,
    health,
    metrics,
    stats,
):
    api.include_router(subject.router)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
