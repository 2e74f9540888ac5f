"""Parses the read routes, asks the database once, returns the response."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.read_orders import models, queries, responses
from functions.read_orders.settings import Settings
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import OrderStatus
from orders.http import Api
from orders.observability import instrumented
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

settings = Settings.from_environment()
database = Database.from_settings(settings)
api = Api()

Status = Annotated[OrderStatus | None, Query(description="Only orders in this status")]


@api.get(f"{API_PREFIX}/orders", responses=responses.ORDER_LIST)
def get_orders(
    limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None, status: Status = None
) -> Response[models.OrderList]:
    """The caller's orders, newest first."""
    page = queries.list_orders(database, api.user_id, status=status, limit=limit, cursor=cursor)
    return responses.for_owner(page)


@api.get(f"{API_PREFIX}/orders/<order_id>", responses=responses.ORDER)
def get_order(order_id: str) -> Response[models.OrderDetail]:
    """One of the caller's orders."""
    return responses.for_owner(queries.read_order(database, api.user_id, order_id))


@api.get(f"{API_PREFIX}/orders/<order_id>/status", responses=responses.PROGRESS)
def get_progress(order_id: str) -> Response[models.OrderProgress]:
    """How far an order is. Until its end the response has `Retry-After`; send its `ETag` as `If-None-Match`."""
    return responses.while_waiting(queries.read_progress(database, api.user_id, order_id))


@api.get(f"{API_PREFIX}/orders/<order_id>/notifications", responses=responses.NOTIFICATIONS)
def get_notifications(order_id: str) -> Response[models.NotificationList]:
    """What the customer of one of the caller's orders was told, on which channel, and what became of it."""
    return responses.for_owner(queries.list_notifications(database, api.user_id, order_id))


@api.get(f"{API_PREFIX}/products", responses=responses.PRODUCT_LIST)
def get_products(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response[models.ProductList]:
    """The products on sale, oldest first."""
    return responses.for_anybody(queries.list_products(database, limit=limit, cursor=cursor))


@api.get(f"{API_PREFIX}/products/<product_id>", responses=responses.PRODUCT)
def get_product(product_id: str) -> Response[models.Product]:
    """One product, also one that is no longer on sale: orders refer to it."""
    return responses.for_anybody(queries.read_product(database, product_id))


@api.get(f"{API_PREFIX}/health/live")
def get_live() -> models.Health:
    """Whether the API responds at all."""
    return models.Health(status="live")


@api.get(f"{API_PREFIX}/health/ready")
def get_ready() -> models.Health:
    """Whether an order could be taken now."""
    queries.ask_database(database)
    return models.Health(status="ready")


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
