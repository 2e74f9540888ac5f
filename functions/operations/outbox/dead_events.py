"""Events of the outbox that the relay has given up."""

from typing import Final

from sqlalchemy import Connection, text

from functions.operations import operator_actions
from functions.operations.operator_actions import Action, Operator
from functions.operations.outbox.models import DeadEvent, DeadEventList, EventRedriven
from orders.db import Database
from orders.errors import EventNotFound, NothingToRedrive
from orders.ids import parse_uuid
from orders.pages import FIRST_ID, cut, id_before

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


def list_dead(database: Database, cursor: str | None, limit: int) -> DeadEventList:
    """A page of dead events, oldest first.

    Raises:
        InvalidCursor: it is not of this list.
        DatabaseUnavailable: try again.
    """
    parameters = {"after": id_before(LISTING, cursor, FIRST_ID), "limit": limit + 1}

    def work(connection: Connection) -> list[DeadEvent]:
        return [
            DeadEvent(
                event_id=row.id,
                type=row.type,
                order_id=row.subject,
                correlation_id=row.correlation_id,
                attempts=row.attempts,
                last_error=row.last_error,
                created_at=row.created_at,
            )
            for row in connection.execute(LIST, parameters)
        ]

    page, next_cursor = cut(LISTING, database.transact_alone(work), limit, lambda event: event.event_id)
    return DeadEventList(items=[*page], next_cursor=next_cursor)


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
