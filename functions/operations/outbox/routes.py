"""The routes of the outbox's dead events."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.operator_actions import MaybeNote, Operator
from functions.operations.outbox import dead_events
from functions.operations.outbox.models import DeadEventList, EventRedriven
from orders.contract import API_PREFIX
from orders.errors import EventNotFound, InvalidCursor, NothingToRedrive
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/outbox", responses=responses(refusals=[InvalidCursor]))
def get_dead_events(
    status: Annotated[Literal["DEAD"], Query()] = "DEAD", limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> DeadEventList:
    """Events that could not be published, oldest first."""
    return dead_events.list_dead(dependencies.database, cursor, limit)


@router.post(
    f"{API_PREFIX}/admin/outbox/<event_id>/redrive",
    responses=responses(refusals=[EventNotFound, NothingToRedrive]),
)
def post_event_redrive(event_id: str, why: Annotated[MaybeNote, Body()]) -> EventRedriven:
    """Publishes a dead event after all: it is pending again."""
    return dead_events.redrive(dependencies.database, Operator.calling(router, why.note), event_id)
