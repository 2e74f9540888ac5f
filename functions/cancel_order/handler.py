"""Parses `POST /orders/{orderId}/cancellation`, cancels the order, returns 202."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.cancel_order.cancel_order import CancellationRequest, cancel_order
from functions.cancel_order.models import CancellationAccepted, CancelOrder
from orders.contract import ADMIN_GROUP, API_PREFIX
from orders.db import Database
from orders.errors import (
    CancellationClosed,
    OrderAlreadyCancelled,
    OrderAlreadyRefunded,
    OrderInReview,
    OrderNotFound,
)
from orders.events import Trace
from orders.http import Api, json_response
from orders.ids import parse_uuid
from orders.observability import correlate, instrumented, logger
from orders.openapi import responses
from orders.payments import actions
from orders.settings import CancellationSettings

settings = CancellationSettings.from_environment()
database = Database.from_settings(settings)
# A customer waits for the response, and the execution looks by itself in a few minutes.
WAKE_ATTEMPTS: Final = 1
_WITHOUT_NOTE: Final = CancelOrder()
wake = actions.waker(WAKE_ATTEMPTS)
api = Api()


@api.post(
    f"{API_PREFIX}/orders/<order_id>/cancellation",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED,
        headers=["Location"],
        errors=[
            OrderNotFound,
            CancellationClosed,
            OrderAlreadyCancelled,
            OrderAlreadyRefunded,
            OrderInReview,
        ],
    ),
)
def post_cancellation(
    order_id: str, why: Annotated[CancelOrder, Body()] = _WITHOUT_NOTE
) -> Response[CancellationAccepted]:
    """Cancels an order: at its next step, or with a refund for some time after it was confirmed. Send it as often as
    you like: it takes effect once. Poll `Location` for the end. Administrators may cancel any order."""
    uuid = parse_uuid(order_id)
    if uuid is None:
        raise OrderNotFound("You have no such order")
    request = CancellationRequest(
        uuid,
        api.user_id,
        api.is_member({ADMIN_GROUP}),
        settings.cancellation_window_minutes,
        Trace(api.correlation_id, api.traceparent),
        why.note,
    )
    cancellation = cancel_order(database, wake, request)
    correlate(api.correlation_id, order_id=order_id)
    logger.info("Cancellation accepted", outcome=cancellation.outcome)
    accepted = CancellationAccepted.of(vars(cancellation), order_id=uuid, outcome=cancellation.outcome)
    location = {"Location": f"{API_PREFIX}/orders/{uuid}/status"}
    return json_response(accepted, HTTPStatus.ACCEPTED, location)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
