"""Consumes `inventory-management`: a reservation may have left a product low on stock."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.inventory_events.low_stock import watch_stock
from orders.consumer import consume
from orders.db import Database
from orders.events import CloudEvent, InventoryReserved
from orders.observability import instrumented
from orders.settings import ConsumerSettings

settings = ConsumerSettings.from_environment()
database = Database.from_settings(settings)


def work(event: CloudEvent, reserved: InventoryReserved) -> None:
    watch_stock(database, event)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    return consume(event, context, InventoryReserved, work, database=database, dlq_url=settings.dlq_url)
