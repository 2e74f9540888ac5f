"""Parses `POST /orders`, places the order, returns 202."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.create_order.models import OrderAccepted, PlaceOrder
from functions.create_order.place_order import OrderRequest, place_order
from functions.create_order.rights import URGENT_GROUPS, check
from functions.create_order.settings import Settings
from orders.contract import API_PREFIX, Metric
from orders.db import Database
from orders.domain import OrderStatus
from orders.errors import (
    IdempotencyKeyReused,
    InvalidOrder,
    PriceChanged,
    PriorityNotAllowed,
    TooManyOrders,
)
from orders.events import Trace
from orders.fields import IdempotencyKey
from orders.http import Api, json_response
from orders.idempotency import REPLAYED_HEADER, replay_header
from orders.observability import correlate, count, instrumented, logger
from orders.openapi import responses

settings = Settings.from_environment()
database = Database.from_settings(settings)
api = Api()


@api.post(
    f"{API_PREFIX}/orders",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED,
        headers=["Location", REPLAYED_HEADER],
        errors=[PriorityNotAllowed, InvalidOrder, IdempotencyKeyReused, PriceChanged, TooManyOrders],
    ),
)
def post_order(
    order: Annotated[PlaceOrder, Body()],
    idempotency_key: IdempotencyKey,
) -> Response[OrderAccepted]:
    """Accepts an order; it is processed in the background. Poll `Location` + `/status` for the outcome."""
    check(order, settings, may_be_urgent=api.is_member(URGENT_GROUPS))
    trace = Trace(api.correlation_id, api.traceparent)
    placed = place_order(
        database, OrderRequest(api.user_id, idempotency_key, order, trace, settings.orders_per_minute)
    )
    correlate(api.correlation_id, order_id=str(placed.order_id))
    if not placed.replayed:
        count(Metric.ORDERS_ACCEPTED)
    logger.info("Order accepted", replayed=placed.replayed)
    accepted = OrderAccepted(
        order_id=placed.order_id,
        status=OrderStatus.PENDING,
        total_amount=placed.total_amount,
        currency=placed.currency,
        created_at=placed.created_at,
    )
    location = {"Location": f"{API_PREFIX}/orders/{placed.order_id}"}
    return json_response(accepted, HTTPStatus.ACCEPTED, location | replay_header(placed.replayed))


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
