"""A message to an order's customer that is sent again for an operator."""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, text

from functions.operations import dependencies
from functions.operations.orders.records import parse_order_id
from orders import notifications, operator_actions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.domain import Channel, Notification
from orders.errors import NotificationNotFound, NotificationNotResendable, OrderNotFound
from orders.events import Trace
from orders.http import ApiModel, ApiRequest, json_response
from orders.openapi import responses
from orders.operator_actions import Action, Note, Operator

_ORDER: Final = text("SELECT correlation_id FROM orders WHERE id = :order_id")


class Resend(ApiRequest):
    """Which message, by what the order's `notifications` show."""

    type: Annotated[Notification, Field(strict=False)]
    channel: Annotated[Channel, Field(strict=False)]
    refund_id: Annotated[UUID | None, Field(strict=False)] = Field(
        default=None, description="Of `order_refunded`: which refund it tells of"
    )
    note: Note | None = None


class Resent(ApiModel):
    order_id: UUID
    type: Notification
    channel: Channel
    status: Literal["QUEUED"] = "QUEUED"


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.post(
    f"{API_PREFIX}/admin/orders/<order_id>/notifications",
    status_code=HTTPStatus.ACCEPTED,
    responses=responses(
        HTTPStatus.ACCEPTED, errors=[OrderNotFound, NotificationNotFound, NotificationNotResendable]
    ),
)
def post_notification(order_id: str, resend: Annotated[Resend, Body()]) -> Response[Resent]:
    """Sends a mail or text message of an order again. The recipient's consent and all limits hold as at the first time;
    what became of it is shown with the order's `notifications`."""
    sent = send_again(
        dependencies.database, Operator.calling(router, resend.note), parse_order_id(order_id), resend
    )
    return json_response(sent, HTTPStatus.ACCEPTED)


def send_again(database: Database, operator: Operator, order_id: UUID, resend: Resend) -> Resent:
    """Asks for the message once more. Of two who ask at the same time, one is refused: it is on its way.

    Raises:
        OrderNotFound: there is no such order.
        NotificationNotFound, NotificationNotResendable: see `notifications.request_again`.
        DatabaseUnavailable: try again.
    """
    target = f"{resend.type}/{resend.channel}"

    def work(connection: Connection) -> None:
        correlation_id = connection.scalar(_ORDER, {"order_id": order_id})
        if correlation_id is None:
            raise OrderNotFound("There is no such order")
        trace = Trace(correlation_id, operator.traceparent)
        before = notifications.request_again(
            connection, order_id, resend.type, resend.channel, resend.refund_id, trace
        )
        about = "" if resend.refund_id is None else f" refund={resend.refund_id}"
        operator_actions.record(
            connection,
            operator,
            Action.NOTIFICATION_RESENT,
            target,
            order_id=order_id,
            detail=f"was={before}{about}",
        )

    database.transact(work)
    operator_actions.report(operator, Action.NOTIFICATION_RESENT, target, order_id)
    return Resent(order_id=order_id, type=resend.type, channel=resend.channel)
