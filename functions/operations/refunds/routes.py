"""The routes of refunds."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.orders.records import parse_order_id
from functions.operations.refunds.desk import NewRefund, ResumedRefund
from functions.operations.refunds.records import RefundList, RefundRecord, list_of_order, list_open
from orders.contract import API_PREFIX
from orders.domain import RefundStatus
from orders.errors import (
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidRefund,
    OrderNotFound,
    OrderNotRefundable,
    PaymentGatewayUnavailable,
    RefundBusy,
    RefundExceedsCapture,
    RefundExceedsSale,
    RefundGivenBack,
    RefundNotFound,
    RefundNotInReview,
    ServiceUnavailable,
)
from orders.fields import IdempotencyKey
from orders.http import json_response
from orders.idempotency import REPLAYED_HEADER, replay_header
from orders.ids import parse_uuid
from orders.openapi import responses
from orders.operator_actions import MaybeNote, Operator, WithNote
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

OpenRefundStatus = Literal["NEEDS_REVIEW", "REQUESTED"]
"""Refunds that are over need nobody: their order lists them."""

_OF_ORDER = f"{API_PREFIX}/admin/orders/<order_id>/refunds"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/refunds", responses=responses(errors=[InvalidCursor]))
def get_open_refunds(
    status: Annotated[OpenRefundStatus, Query()] = "NEEDS_REVIEW",
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> RefundList:
    """Refunds of all orders that are under review, or on their way; oldest first."""
    return list_open(dependencies.database, RefundStatus(status), cursor, limit)


@router.get(_OF_ORDER, responses=responses(errors=[OrderNotFound]))
def get_order_refunds(order_id: str) -> RefundList:
    """All refunds of an order, oldest first."""
    return list_of_order(dependencies.database, parse_order_id(order_id))


@router.post(
    _OF_ORDER,
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED,
        headers=[REPLAYED_HEADER],
        errors=[
            OrderNotFound,
            InvalidRefund,
            IdempotencyKeyReused,
            OrderNotRefundable,
            RefundExceedsCapture,
            RefundExceedsSale,
        ],
    ),
)
def post_refund(
    order_id: str, refund: Annotated[NewRefund, Body()], idempotency_key: IdempotencyKey
) -> Response[RefundRecord]:
    """Grants a refund of a confirmed order: units of its lines, an amount, or all that is left. It is carried out in
    the background. A repeated request finds the refund that the first one asked for."""
    requested = dependencies.refund_desk().grant(
        Operator.calling(router, refund.reason), idempotency_key, parse_order_id(order_id), refund
    )
    return json_response(requested.refund, HTTPStatus.ACCEPTED, replay_header(requested.replayed))


@router.post(
    f"{_OF_ORDER}/<refund_id>/resume",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED, errors=[RefundNotFound, RefundNotInReview, RefundBusy, ServiceUnavailable]
    ),
)
def post_refund_resume(
    order_id: str, refund_id: str, why: Annotated[MaybeNote, Body()]
) -> Response[ResumedRefund]:
    """Another execution goes on with a refund under review. What has happened does not happen twice."""
    resumed = dependencies.refund_desk().resume(
        Operator.calling(router, why.note),
        _parse(order_id),
        _parse(refund_id),
    )
    return Response(
        status_code=HTTPStatus.ACCEPTED, content_type=content_types.APPLICATION_JSON, body=resumed
    )


@router.post(
    f"{_OF_ORDER}/<refund_id>/reject",
    responses=responses(
        errors=[
            RefundNotFound,
            RefundNotInReview,
            RefundBusy,
            RefundGivenBack,
            ServiceUnavailable,
            PaymentGatewayUnavailable,
        ]
    ),
)
def post_refund_reject(order_id: str, refund_id: str, why: Annotated[WithNote, Body()]) -> RefundRecord:
    """Takes back a refund under review, if the payment provider has not given the money back."""
    operator = Operator.calling(router, why.note)
    return dependencies.refund_desk().reject(operator, _parse(order_id), _parse(refund_id))


def _parse(id: str) -> UUID:
    uuid = parse_uuid(id)
    if uuid is None:
        raise RefundNotFound("The order has no such refund")
    return uuid
