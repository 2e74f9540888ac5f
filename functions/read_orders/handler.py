"""Parses the read routes, asks the database once, returns the response."""

from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.read_orders import models, queries
from functions.read_orders.readiness import READY_SECONDS, Readiness
from functions.read_orders.settings import Settings
from orders.conditional import etag
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import OrderStatus
from orders.errors import InvalidCursor, OrderNotFound, ProductNotFound
from orders.http import Api, Body, json_response
from orders.observability import instrumented
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

settings = Settings.from_environment()
database = Database.from_settings(settings)
readiness = Readiness()
api = Api()

Status = Annotated[OrderStatus | None, Query(description="Only orders in this status")]

POLL_SECONDS: Final = 1
"""What `Retry-After` asks of a client that waits for an order to end."""
CUSTOMER_POLL_SECONDS: Final = 3
"""The same while the order waits for its customer: people are slower than the saga."""
CATALOGUE_SECONDS: Final = 5
"""How old what a shop window shows may be. Prices and stock are checked when an order is placed (ADR 0016)."""

_PUBLIC: Final = {"Cache-Control": f"public, max-age={CATALOGUE_SECONDS}, must-revalidate"}
"""May be kept by anybody between here and there, and is not to be shown a second longer."""

_CONDITIONAL: Final = ("ETag", "Cache-Control")
LIST: Final = responses(headers=_CONDITIONAL, errors=[InvalidCursor])
ORDER: Final = responses(headers=_CONDITIONAL, errors=[OrderNotFound])


@api.get(f"{API_PREFIX}/orders", responses=LIST)
def get_orders(
    limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None, status: Status = None
) -> Response[models.OrderList]:
    """The caller's orders, newest first."""
    page = queries.list_orders(database, api.user_id, status=status, limit=limit, cursor=cursor)
    return _conditional(page)


@api.get(f"{API_PREFIX}/orders/<order_id>", responses=ORDER)
def get_order(order_id: str) -> Response[models.OrderDetail]:
    """One of the caller's orders."""
    return _conditional(
        queries.read_order(database, api.user_id, order_id, settings.cancellation_window_minutes)
    )


@api.get(
    f"{API_PREFIX}/orders/<order_id>/status",
    responses=responses(headers=[*_CONDITIONAL, "Retry-After"], errors=[OrderNotFound]),
)
def get_progress(order_id: str) -> Response[models.OrderProgress]:
    """How far an order is. Until its end the response has `Retry-After`; send its `ETag` as `If-None-Match`.

    If the customer must act before the order can go on, e.g. authenticate the payment, `nextAction` says what and until
    when."""
    found = queries.read_progress(database, api.user_id, order_id, settings.payment_provider)
    seconds = CUSTOMER_POLL_SECONDS if found.next_action else POLL_SECONDS
    coming_back = {} if found.status.is_terminal else {"Retry-After": str(seconds)}
    return _conditional(found, **coming_back)


@api.get(f"{API_PREFIX}/orders/<order_id>/notifications", responses=ORDER)
def get_notifications(order_id: str) -> Response[models.NotificationList]:
    """What the customer of one of the caller's orders was told, on which channel, and what became of it."""
    return _conditional(queries.list_notifications(database, api.user_id, order_id))


@api.get(f"{API_PREFIX}/products", responses=LIST)
def get_products(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response[models.ProductList]:
    """The products on sale, oldest first."""
    return _conditional(queries.list_products(database, limit=limit, cursor=cursor), **_PUBLIC)


@api.get(
    f"{API_PREFIX}/products/<product_id>",
    responses=responses(headers=_CONDITIONAL, errors=[ProductNotFound]),
)
def get_product(product_id: str) -> Response[models.Product]:
    """One product, also one that is no longer on sale: orders refer to it."""
    return _conditional(queries.read_product(database, product_id), **_PUBLIC)


@api.get(f"{API_PREFIX}/health/live")
def get_live() -> models.Health:
    """Whether the API responds at all."""
    return models.Health(status="live")


@api.get(f"{API_PREFIX}/health/ready", responses=responses(headers=["Cache-Control"]))
def get_ready() -> Response[models.Health]:
    """Whether an order could be taken now, or could a few seconds ago: the answer is kept for that long."""
    readiness.check(database)
    return json_response(
        models.Health(status="ready"), headers={"Cache-Control": f"public, max-age={READY_SECONDS}"}
    )


def _conditional(found: Body, **headers: str) -> Response[Body]:
    return json_response(found, headers={"ETag": etag(found), **headers})


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
