"""Parses the read routes, asks the database once, answers."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.read_orders import queries
from functions.read_orders.models import (
    Health,
    NotificationList,
    OrderDetail,
    OrderProgress,
    Product,
    ProductList,
)
from functions.read_orders.settings import Settings
from orders.conditional import etag
from orders.db import Database
from orders.errors import OrderNotFound, ProductNotFound
from orders.http import API_PREFIX, Api
from orders.observability import instrumented
from orders.openapi import answers

POLL_SECONDS = 1
"""What `Retry-After` asks of a client that waits for an order to end."""

settings = Settings.from_environment()
database = Database.from_settings(settings)
api = Api()


@api.get(f"{API_PREFIX}/orders/<order_id>", responses=answers(refusals=[OrderNotFound]))
def get_order(order_id: str) -> OrderDetail:
    """One of the caller's orders."""
    return queries.read_order(database, api.user_id, order_id)


@api.get(
    f"{API_PREFIX}/orders/<order_id>/status",
    responses=answers(headers=["ETag", "Retry-After"], refusals=[OrderNotFound]),
)
def get_progress(order_id: str) -> Response[OrderProgress]:
    """How far an order is. While it is on its way the answer has `Retry-After`; send its `ETag` as `If-None-Match`."""
    found = queries.read_progress(database, api.user_id, order_id)
    return Response(
        status_code=HTTPStatus.OK,
        content_type=content_types.APPLICATION_JSON,
        headers={
            "ETag": etag(found),
            **({} if found.status.is_terminal else {"Retry-After": str(POLL_SECONDS)}),
        },
        body=found,
    )


@api.get(f"{API_PREFIX}/orders/<order_id>/notifications")
def get_notifications(order_id: str) -> NotificationList:
    """What the customer of one of the caller's orders was told, on which channel, and what became of it."""
    return NotificationList(items=queries.list_notifications(database, api.user_id, order_id))


@api.get(f"{API_PREFIX}/products")
def get_products() -> ProductList:
    """The products on sale."""
    return ProductList(items=queries.list_products(database))


@api.get(f"{API_PREFIX}/products/<product_id>", responses=answers(refusals=[ProductNotFound]))
def get_product(product_id: str) -> Product:
    """One product, also one that is no longer on sale: orders refer to it."""
    return queries.read_product(database, product_id)


@api.get(f"{API_PREFIX}/health/live")
def get_live() -> Health:
    """Whether the API answers at all."""
    return Health(status="live")


@api.get(f"{API_PREFIX}/health/ready")
def get_ready() -> Health:
    """Whether an order could be taken now."""
    queries.ask_database(database)
    return Health(status="ready")


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
