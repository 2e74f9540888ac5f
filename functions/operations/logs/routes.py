"""The route of an order's log lines."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.logs.reader import DEFAULT_LIMIT, MAX_LIMIT, LogLines, read_logs
from functions.operations.orders.records import parse_order_id
from orders.contract import API_PREFIX
from orders.errors import InvalidCursor, OrderNotFound, ServiceUnavailable
from orders.openapi import responses
from orders.pages import Cursor

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(
    f"{API_PREFIX}/admin/orders/<order_id>/logs",
    responses=responses(errors=[OrderNotFound, InvalidCursor, ServiceUnavailable]),
)
def get_logs(
    order_id: str,
    limit: Annotated[
        int, Query(ge=1, le=MAX_LIMIT, description="How many lines a page has at most")
    ] = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> LogLines:
    """What the functions have logged of an order, oldest first. Lines arrive some seconds after they are written."""
    return read_logs(
        dependencies.database,
        dependencies.function_logs(),
        parse_order_id(order_id),
        cursor,
        limit,
        dependencies.may_go_on(router.lambda_context),
    )
