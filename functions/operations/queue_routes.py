"""The routes about messages: queues, their dead letters, and the outbox."""

from typing import Annotated, Final, Literal

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import answers, outbox_events, world
from functions.operations.actions import Operator
from functions.operations.models import (
    DeadEventList,
    DeadMessageList,
    Discarded,
    EventRedriven,
    MaybeNote,
    QueueList,
    Redrive,
    RedriveResult,
    WithNote,
)
from functions.operations.queue_operations import QueueOperations, parse_queue
from orders.contract import API_PREFIX
from orders.http import caller
from orders.pages import DEFAULT_LIMIT, Cursor, Limit

MAX_MESSAGES: Final = 50
"""Dead letters in one answer."""

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


def _queues() -> QueueOperations:
    return world.queues(router.lambda_context)


def _operator(note: str | None) -> Operator:
    return Operator(caller(router.current_event), note or "")


@router.get(f"{API_PREFIX}/admin/queues", responses=answers.QUEUES)
def get_queues() -> QueueList:
    """Every queue and its dead-letter queue, with their messages counted."""
    return _queues().list_queues()


@router.get(f"{API_PREFIX}/admin/dlqs/<queue>/messages", responses=answers.MESSAGES)
def get_messages(
    queue: str, limit: Annotated[int, Query(ge=1, le=MAX_MESSAGES)] = MAX_MESSAGES
) -> DeadMessageList:
    """Dead letters of a queue, each with what it was and why it is there. They stay where they are."""
    return _queues().list_messages(parse_queue(queue), limit)


@router.post(f"{API_PREFIX}/admin/dlqs/<queue>/redrive", responses=answers.REDRIVEN)
def post_redrive(queue: str, redrive: Annotated[Redrive, Body()]) -> RedriveResult:
    """Sends one dead letter, or all of them, back to the queue."""
    name, operator = parse_queue(queue), _operator(redrive.note)
    if redrive.message_id is None:
        return _queues().redrive_all(operator, name)
    return _queues().redrive(operator, name, redrive.message_id)


@router.post(f"{API_PREFIX}/admin/dlqs/<queue>/messages/<message_id>/discard", responses=answers.DISCARDED)
def post_discard(queue: str, message_id: str, why: Annotated[WithNote, Body()]) -> Discarded:
    """Deletes one dead letter for good."""
    return _queues().discard(_operator(why.note), parse_queue(queue), message_id)


@router.get(f"{API_PREFIX}/admin/outbox", responses=answers.EVENTS)
def get_dead_events(
    status: Annotated[Literal["DEAD"], Query()] = "DEAD", limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> DeadEventList:
    """Events that could not be published, oldest first."""
    return outbox_events.list_dead(world.database, cursor, limit)


@router.post(f"{API_PREFIX}/admin/outbox/<event_id>/redrive", responses=answers.EVENT_REDRIVEN)
def post_event_redrive(event_id: str, why: Annotated[MaybeNote, Body()]) -> EventRedriven:
    """Publishes a dead event after all: it is pending again."""
    return outbox_events.redrive(world.database, _operator(why.note), event_id)
