"""Events of the outbox that the relay has given up."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, text

from functions.operations import dependencies, operator_actions
from functions.operations.operator_actions import Action, MaybeNote, Operator
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import EventNotFound, InvalidCursor, NothingToRedrive
from orders.events import CATALOGUE
from orders.http import ApiModel
from orders.ids import FIRST_ID, parse_uuid
from orders.openapi import responses
from orders.pages import DEFAULT_LIMIT, Cursor, Limit, cut, id_before

LISTING: Final = "admin outbox"

# The CASE is the condition of `outbox_dead`.
LIST: Final = text("""
    SELECT id, type, subject, correlation_id, attempts, last_error, created_at
    FROM outbox
    WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END
      AND id > :after
    ORDER BY id
    LIMIT :limit
""")

# As if it had just been written; only its last error is kept, for whoever asks why it comes late.
_REDRIVE: Final = text("""
    UPDATE outbox
    SET status = 'PENDING', attempts = 0, refusals = 0, available_at = now(), claim_token = NULL
    WHERE id = :event_id AND status = 'DEAD'
    RETURNING subject, last_error
""")
_STATUS: Final = text("SELECT status FROM outbox WHERE id = :event_id")


class DeadEvent(ApiModel):
    event_id: UUID
    type: str
    order_id: UUID | None = Field(description="null: the event is not of an order")
    correlation_id: str
    attempts: int
    last_error: str | None
    created_at: datetime


class DeadEventList(ApiModel):
    """Oldest first."""

    items: list[DeadEvent]
    next_cursor: str | None


class EventRedriven(ApiModel):
    event_id: UUID
    status: Literal["PENDING"] = "PENDING"


router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


@router.get(f"{API_PREFIX}/admin/outbox", responses=responses(errors=[InvalidCursor]))
def get_dead_events(
    status: Annotated[Literal["DEAD"], Query()] = "DEAD", limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> DeadEventList:
    """Events that could not be published, oldest first."""
    return list_dead(dependencies.database, cursor, limit)


@router.post(
    f"{API_PREFIX}/admin/outbox/<event_id>/redrive",
    responses=responses(errors=[EventNotFound, NothingToRedrive]),
)
def post_event_redrive(event_id: str, why: Annotated[MaybeNote, Body()]) -> EventRedriven:
    """Publishes a dead event after all: it is pending again."""
    return redrive(dependencies.database, Operator.calling(router, why.note), event_id)


def list_dead(database: Database, cursor: str | None, limit: int) -> DeadEventList:
    """A page of dead events, oldest first.

    Raises:
        InvalidCursor: it is not of this list.
        DatabaseUnavailable: try again.
    """
    parameters = {"after": id_before(LISTING, cursor, FIRST_ID), "limit": limit + 1}

    def work(connection: Connection) -> list[DeadEvent]:
        return [
            DeadEvent.of(
                row._mapping, event_id=row.id, order_id=row.subject if _is_of_order(row.type) else None
            )
            for row in connection.execute(LIST, parameters)
        ]

    page, next_cursor = cut(LISTING, database.transact_alone(work), limit, lambda event: event.event_id)
    return DeadEventList(items=[*page], next_cursor=next_cursor)


def _is_of_order(event_type: str) -> bool:
    known = CATALOGUE.get(event_type)
    return known is None or known.is_of_order


def redrive(database: Database, operator: Operator, event_id: str) -> EventRedriven:
    """Makes a dead event pending again, with all its attempts before it.

    Raises:
        EventNotFound: there is no such event.
        NothingToRedrive: it is not dead, or not any more.
        DatabaseUnavailable: try again.
    """
    uuid = parse_uuid(event_id)
    if uuid is None:
        raise EventNotFound("There is no such event")

    def work(connection: Connection) -> None:
        dead = connection.execute(_REDRIVE, {"event_id": uuid}).first()
        if dead is None:
            status = connection.scalar(_STATUS, {"event_id": uuid})
            if status is None:
                raise EventNotFound("There is no such event")
            raise NothingToRedrive(f"The event is {status}")
        operator_actions.record(
            connection,
            operator,
            Action.EVENT_REDRIVEN,
            str(uuid),
            order_id=dead.subject,
            detail=f"last_error={dead.last_error}",
        )

    database.transact(work)
    operator_actions.report(operator, Action.EVENT_REDRIVEN, str(uuid))
    return EventRedriven(event_id=uuid)
