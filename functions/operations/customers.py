"""Customers who want their personal data erased."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, Row

from functions.operations import dependencies
from orders import erasure, operator_actions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.erasure import Erasure, MayGoOn
from orders.errors import CustomerNotFound
from orders.http import ApiModel
from orders.openapi import responses
from orders.operator_actions import Action, Operator, WithNote


class Erased(ApiModel):
    """What was erased of a customer, and what is left until their orders have ended."""

    user_id: str
    orders_erased: int = Field(
        description="Ended orders whose contact data and payment token were erased now"
    )
    orders_left: int = Field(
        description="Orders that still have them: maintenance erases each once it has ended"
    )
    webhooks_removed: int
    complete: bool = Field(description="Nothing is left")


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.post(
    f"{API_PREFIX}/admin/customers/<user_id>/erasure", responses=responses(errors=[CustomerNotFound])
)
def post_erasure(user_id: str, why: Annotated[WithNote, Body()]) -> Erased:
    """Erases a customer's personal data. Orders, payments and stock are kept, without saying whose they were.

    Orders under way keep their contact data until they have ended and their messages are out.
    """
    return erase(
        dependencies.database,
        Operator.calling(router, why.note),
        user_id,
        dependencies.may_go_on(router.lambda_context),
    )


def erase(database: Database, operator: Operator, user_id: str, may_go_on: MayGoOn) -> Erased:
    """Erases what may be erased now, and leaves the rest to maintenance. It may be asked for again.

    Raises:
        CustomerNotFound: nobody of that id has ordered anything, or registered a webhook or a recipient.
        DatabaseUnavailable: try again.
    """

    def begin(connection: Connection) -> tuple[Erasure, Row[Any]]:
        request = erasure.request(connection, user_id)
        found = request.count(connection)
        if not (found.orders or found.webhooks or found.recipients):
            raise CustomerNotFound("Nothing is known of such a customer")
        operator_actions.record(
            connection,
            operator,
            Action.CUSTOMER_ERASED,
            user_id,
            detail=f"orders={found.orders} under_way={found.under_way} webhooks={found.webhooks}",
        )
        return request, found

    request, found = database.transact(begin)
    operator_actions.report(operator, Action.CUSTOMER_ERASED, user_id)
    orders_erased = request.erase_orders(database, may_go_on)
    left = database.transact_alone(request.count)
    return Erased(
        user_id=user_id,
        orders_erased=orders_erased,
        orders_left=left.with_contact,
        webhooks_removed=found.webhooks - left.webhooks,
        complete=not left.with_contact,
    )
