"""Events of the outbox that the relay has given up."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row, text

from functions.operations import dependencies
from functions.operations.walk import MayGoOn
from orders import notifications, operator_actions
from orders.contract import API_PREFIX
from orders.db import Database
from orders.errors import EventNeeded, EventNotFound, InvalidCursor, NothingToRedrive
from orders.events import CATALOGUE, NotificationRequested
from orders.http import ApiModel
from orders.ids import FIRST_ID, parse_uuid
from orders.openapi import responses
from orders.operator_actions import ActedOn, Action, MaybeNote, Operator
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
    RETURNING id, type, subject, last_error
""")
_STATUS: Final = text("SELECT status FROM outbox WHERE id = :event_id")

REDRIVEN_AT_ONCE: Final = 200
"""Events in one transaction."""
# By what `LIST` finds: each event once, also if it is dead again by the time that the last one has its turn.
_REDRIVE_SOME: Final = text("""
    WITH dead AS MATERIALIZED (
        SELECT id FROM outbox
        WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END AND id > :after
        ORDER BY id
        LIMIT :limit
        FOR UPDATE
    ), redriven AS (
        UPDATE outbox
        SET status = 'PENDING', attempts = 0, refusals = 0, available_at = now(), claim_token = NULL
        WHERE id = ANY (ARRAY(SELECT id FROM dead)) AND status = 'DEAD'
        RETURNING id, type, subject, last_error
    )
    SELECT * FROM redriven ORDER BY id
""")
_COUNT: Final = text("""
    SELECT count(*) FROM outbox WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END AND id > :after
""")

# An order that has not begun is begun by its first event alone.
_DISCARD: Final = text("""
    DELETE FROM outbox
    WHERE id = :event_id AND status = 'DEAD'
      AND NOT (type = 'com.orders.order.created.v1' AND EXISTS (
          SELECT FROM orders WHERE orders.id = subject AND orders.status = 'PENDING'
      ))
    RETURNING subject, type, data, last_error
""")


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


class EventsRedriven(ApiModel):
    redriven: int
    left: int = Field(description="Dead events for which there was no time: ask again")


class EventDiscarded(ApiModel):
    event_id: UUID


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


@router.post(f"{API_PREFIX}/admin/outbox/redrive", responses=responses())
def post_outbox_redrive(why: Annotated[MaybeNote, Body()]) -> EventsRedriven:
    """Publishes all dead events after all: they are pending again."""
    return redrive_all(
        dependencies.database,
        Operator.calling(router, why.note),
        dependencies.may_go_on(router.lambda_context),
    )


@router.post(
    f"{API_PREFIX}/admin/outbox/<event_id>/discard",
    responses=responses(errors=[EventNotFound, NothingToRedrive, EventNeeded]),
)
def post_event_discard(event_id: str, why: Annotated[MaybeNote, Body()]) -> EventDiscarded:
    """Deletes a dead event for good. A message that it asks for is marked as failed."""
    return discard(dependencies.database, Operator.calling(router, why.note), event_id)


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
            raise _not_dead(connection, uuid)
        _record_redriven(connection, operator, [dead])

    database.transact(work)
    operator_actions.report(operator, Action.EVENT_REDRIVEN, str(uuid))
    return EventRedriven(event_id=uuid)


def redrive_all(database: Database, operator: Operator, may_go_on: MayGoOn) -> EventsRedriven:
    """Makes all dead events pending again, each once, as far as the time goes. It may be asked for again.

    Raises:
        DatabaseUnavailable: try again; some may be pending again by now.
    """
    after, number = FIRST_ID, 0
    while True:
        redriven = database.transact(partial(_redrive_some, operator=operator, after=after))
        for event_id in redriven:
            operator_actions.report(operator, Action.EVENT_REDRIVEN, str(event_id))
        number += len(redriven)
        if len(redriven) < REDRIVEN_AT_ONCE:
            return EventsRedriven(redriven=number, left=0)
        after = redriven[-1]
        if not may_go_on():
            return EventsRedriven(redriven=number, left=database.transact_alone(partial(_count, after=after)))


def discard(database: Database, operator: Operator, event_id: str) -> EventDiscarded:
    """Deletes a dead event. The book keeps what it was.

    Raises:
        EventNotFound: there is no such event, or not any more.
        NothingToRedrive: it is not dead, or not any more.
        EventNeeded: its order has not begun, and would never begin.
        DatabaseUnavailable: try again.
    """
    uuid = parse_uuid(event_id)
    if uuid is None:
        raise EventNotFound("There is no such event")

    def work(connection: Connection) -> None:
        dead = connection.execute(_DISCARD, {"event_id": uuid}).first()
        if dead is None:
            raise _not_dead(connection, uuid)
        if dead.type == NotificationRequested.type:
            _give_up_message(connection, dead)
        operator_actions.record(
            connection,
            operator,
            Action.EVENT_DISCARDED,
            str(uuid),
            order_id=dead.subject if _is_of_order(dead.type) else None,
            detail=f"type={dead.type} last_error={dead.last_error}",
        )

    database.transact(work)
    operator_actions.report(operator, Action.EVENT_DISCARDED, str(uuid))
    return EventDiscarded(event_id=uuid)


def _redrive_some(connection: Connection, operator: Operator, after: UUID) -> list[UUID]:
    dead = connection.execute(_REDRIVE_SOME, {"after": after, "limit": REDRIVEN_AT_ONCE}).all()
    _record_redriven(connection, operator, dead)
    return [event.id for event in dead]


def _count(connection: Connection, after: UUID) -> int:
    return int(connection.execute(_COUNT, {"after": after}).scalar_one())


def _record_redriven(connection: Connection, operator: Operator, dead: Sequence[Row[Any]]) -> None:
    redriven = [
        ActedOn(
            str(event.id),
            event.subject if _is_of_order(event.type) else None,
            f"last_error={event.last_error}",
        )
        for event in dead
    ]
    operator_actions.record_each(connection, operator, Action.EVENT_REDRIVEN, redriven)


def _not_dead(connection: Connection, event_id: UUID) -> EventNotFound | NothingToRedrive | EventNeeded:
    """Why nothing was done to the event."""
    status = connection.scalar(_STATUS, {"event_id": event_id})
    if status is None:
        return EventNotFound("There is no such event")
    if status == "DEAD":
        return EventNeeded("The event starts its order, which has not begun: redrive it")
    return NothingToRedrive(f"The event is {status}")


def _give_up_message(connection: Connection, dead: Row[Any]) -> None:
    """Nobody asks for the message any more: it waits no longer, and an operator may send it again."""
    try:
        requested = NotificationRequested.model_validate(dead.data, strict=False)
    except ValidationError:
        # It may be dead because it says nothing that makes sense.
        return
    notifications.give_up(connection, dead.subject, requested, "EventDiscarded")
