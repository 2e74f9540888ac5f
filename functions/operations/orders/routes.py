"""The routes of orders: those under review, their executions, and what an operator does to them."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.orders import sagas, timeline
from functions.operations.orders.records import parse_order_id
from functions.operations.orders.review import Closed, Closing, Resumed
from functions.operations.orders.search import (
    EXPORT_LIMIT,
    AdminOrderList,
    OrderSearch,
    Sort,
    export,
    search,
)
from orders.contract import API_PREFIX, NEXT_CURSOR_HEADER
from orders.domain import FailureReason, OrderStatus
from orders.errors import (
    InvalidCursor,
    OrderBusy,
    OrderDoesNotFit,
    OrderNotFound,
    OrderNotInReview,
    PaymentGatewayUnavailable,
    ServiceUnavailable,
)
from orders.fields import CorrelationId, Id, KeyText, Moment, SoughtEmail, SoughtPhone
from orders.openapi import responses
from orders.operator_actions import MaybeNote, Operator
from orders.pages import DEFAULT_LIMIT, MAX_LIMIT, Cursor

CSV: Final = "text/csv"
CSV_EXAMPLE: Final = (
    "orderId,status,failureReason,totalAmount,currency,correlationId,createdAt,updatedAt\r\n"
    "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10,CANCELLED,PAYMENT_DECLINED,22700,USD,0198f3a1-7c1c-7d21-a5b4-6c7d8e9f0a1b,"
    "2026-11-24T10:15:30.123456Z,2026-11-24T10:15:31.987654Z\r\n"
)

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(
    f"{API_PREFIX}/admin/orders",
    responses=responses(
        headers=[NEXT_CURSOR_HEADER],
        content={
            content_types.APPLICATION_JSON: {"$ref": "#/components/schemas/AdminOrderList"},
            CSV: {"type": "string", "examples": [CSV_EXAMPLE]},
        },
        errors=[InvalidCursor],
    ),
)
def get_orders(
    order_id: Annotated[Id | None, Query(alias="orderId")] = None,
    email: Annotated[
        SoughtEmail | None, Query(description="The customer's, as the order has it; large or small letters")
    ] = None,
    phone: Annotated[SoughtPhone | None, Query(description="The customer's, as the order has it")] = None,
    idempotency_key: Annotated[
        KeyText | None,
        Query(alias="idempotencyKey", description="Of the request that placed it; keys are kept for 7 days"),
    ] = None,
    correlation_id: Annotated[CorrelationId | None, Query(alias="correlationId")] = None,
    status: Annotated[OrderStatus | None, Query()] = None,
    failure_reason: Annotated[FailureReason | None, Query(alias="failureReason")] = None,
    product_id: Annotated[Id | None, Query(alias="productId", description="It is one of its lines")] = None,
    placed_from: Annotated[
        Moment | None, Query(alias="from", description="The first moment at which it was placed")
    ] = None,
    placed_to: Annotated[
        Moment | None, Query(alias="to", description="The moment before which it was placed")
    ] = None,
    sort: Annotated[Sort, Query()] = "newest",
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=MAX_LIMIT,
            description=f"How many orders a page has at most: {DEFAULT_LIMIT} unless given, of CSV {EXPORT_LIMIT}",
        ),
    ] = None,
    cursor: Cursor = None,
) -> Response[AdminOrderList | str]:
    """Orders of all customers for which all that is given is true. `Accept: text/csv` gets the list as a document; its
    header `Next-Cursor` says where a longer list goes on."""
    wanted = OrderSearch(
        order_id=None if order_id is None else UUID(order_id),
        email=email,
        phone=phone,
        idempotency_key=idempotency_key,
        correlation_id=correlation_id,
        status=status,
        failure_reason=failure_reason,
        product_id=None if product_id is None else UUID(product_id),
        placed_from=placed_from,
        placed_to=placed_to,
        sort=sort,
    )
    if not _accepts_csv(router.current_event.headers.get("accept") or ""):
        page = search(dependencies.database, wanted, cursor, limit or DEFAULT_LIMIT)
        return Response(status_code=HTTPStatus.OK, content_type=content_types.APPLICATION_JSON, body=page)
    found = export(
        dependencies.database,
        wanted,
        cursor,
        limit or EXPORT_LIMIT,
        dependencies.may_go_on(router.lambda_context),
    )
    return Response(
        status_code=HTTPStatus.OK,
        content_type=f"{CSV}; charset=utf-8",
        body=found.document,
        headers={
            "Content-Disposition": 'attachment; filename="orders.csv"',
            **({NEXT_CURSOR_HEADER: found.next_cursor} if found.next_cursor else {}),
        },
    )


@router.get(
    f"{API_PREFIX}/admin/orders/<order_id>", responses=responses(errors=[OrderNotFound, ServiceUnavailable])
)
def get_order_report(order_id: str) -> sagas.OrderReport:
    """One order with everything around it, and what an operator may do to it."""
    return sagas.read_report(
        dependencies.database,
        dependencies.executions(),
        dependencies.gateway,
        parse_order_id(order_id),
        dependencies.settings.cancellation_window_minutes,
    )


@router.get(f"{API_PREFIX}/admin/orders/<order_id>/timeline", responses=responses(errors=[OrderNotFound]))
def get_timeline(order_id: str) -> timeline.Timeline:
    """All that happened to an order, in the order of time: request, events, executions and their states, steps,
    payment, stock, messages, webhooks, refunds, repairs, and what operators did."""
    return timeline.read_timeline(dependencies.database, dependencies.executions(), parse_order_id(order_id))


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


def _accepts_csv(accept: str) -> bool:
    """Whether CSV is named before JSON in an `Accept` header."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    return next((kind == CSV for kind in kinds if kind in (CSV, content_types.APPLICATION_JSON)), False)
