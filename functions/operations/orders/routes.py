"""The routes of orders: those under review, their executions, and what an operator does to them."""

from http import HTTPStatus
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.operator_actions import MaybeNote, Operator
from functions.operations.orders import sagas
from functions.operations.orders.records import OpenOrderList, list_orders, parse_order_id
from functions.operations.orders.review import Closed, Closing, Resumed
from orders.contract import API_PREFIX
from orders.domain import OrderStatus
from orders.errors import (
    InvalidCursor,
    OrderBusy,
    OrderDoesNotFit,
    OrderNotFound,
    OrderNotInReview,
    PaymentGatewayUnavailable,
    ServiceUnavailable,
)
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

OpenStatus = Literal["NEEDS_REVIEW", "PENDING", "PROCESSING"]
"""Orders at their end are too many to list, and need nobody."""

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/orders", responses=responses(errors=[InvalidCursor]))
def get_open_orders(
    status: Annotated[OpenStatus, Query()] = "NEEDS_REVIEW",
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> OpenOrderList:
    """Orders that are not at their end, oldest first."""
    return list_orders(dependencies.database, OrderStatus(status), cursor, limit)


@router.get(
    f"{API_PREFIX}/admin/orders/<order_id>", responses=responses(errors=[OrderNotFound, ServiceUnavailable])
)
def get_order_report(order_id: str) -> sagas.OrderReport:
    """One order with everything around it, and what an operator may do to it."""
    return sagas.read_report(
        dependencies.database, dependencies.executions(), dependencies.gateway, parse_order_id(order_id)
    )


@router.post(
    f"{API_PREFIX}/admin/orders/<order_id>/resume",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED, errors=[OrderNotFound, OrderNotInReview, OrderBusy, ServiceUnavailable]
    ),
)
def post_resume(order_id: str, why: Annotated[MaybeNote, Body()]) -> Response[Resumed]:
    """Another execution goes on with the order, and tries again what could not be undone."""
    operator = Operator.calling(router, why.note)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type=content_types.APPLICATION_JSON,
        body=dependencies.review().resume(operator, parse_order_id(order_id)),
    )


@router.post(
    f"{API_PREFIX}/admin/orders/<order_id>/close",
    responses=responses(
        errors=[
            OrderNotFound,
            OrderNotInReview,
            OrderBusy,
            OrderDoesNotFit,
            ServiceUnavailable,
            PaymentGatewayUnavailable,
        ]
    ),
)
def post_close(order_id: str, closing: Annotated[Closing, Body()]) -> Closed:
    """Ends the order by hand, if its money and its stock are what that end needs."""
    operator = Operator.calling(router, closing.note)
    return dependencies.review().close(operator, parse_order_id(order_id), OrderStatus(closing.status))


@router.get(
    f"{API_PREFIX}/admin/sagas/<order_id>",
    responses=responses(errors=[OrderNotFound, InvalidCursor, ServiceUnavailable]),
)
def get_executions(order_id: str, cursor: Cursor = None) -> sagas.ExecutionList:
    """The order's executions, newest first, with the states that each has passed."""
    return sagas.list_executions(
        dependencies.database, dependencies.executions(), parse_order_id(order_id), cursor
    )
