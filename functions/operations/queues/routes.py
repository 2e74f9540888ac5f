"""The routes of queues and their dead letters."""

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from functions.operations import dependencies
from functions.operations.queues.queue_operations import (
    DeadMessageList,
    Discarded,
    QueueList,
    QueueOperations,
    Redrive,
    RedriveResult,
    parse_queue,
)
from orders.contract import API_PREFIX
from orders.errors import MessageNotFound, NothingToRedrive, QueueNotFound, ServiceUnavailable
from orders.openapi import responses
from orders.operator_actions import Operator, WithNote

MAX_MESSAGES: Final = 50
"""Dead letters in one response."""

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools' own gap


def _queues() -> QueueOperations:
    return dependencies.queue_operations(router.lambda_context)


@router.get(f"{API_PREFIX}/admin/queues", responses=responses(errors=[ServiceUnavailable]))
def get_queues() -> QueueList:
    """Every queue and its dead-letter queue, with their messages counted."""
    return _queues().list_queues()


@router.get(
    f"{API_PREFIX}/admin/dlqs/<queue>/messages",
    responses=responses(errors=[QueueNotFound, ServiceUnavailable]),
)
def get_messages(
    queue: str, limit: Annotated[int, Query(ge=1, le=MAX_MESSAGES)] = MAX_MESSAGES
) -> DeadMessageList:
    """Dead letters of a queue, each with what it was and why it is there. They stay where they are."""
    return _queues().list_messages(parse_queue(queue), limit)


@router.post(
    f"{API_PREFIX}/admin/dlqs/<queue>/redrive",
    responses=responses(errors=[QueueNotFound, MessageNotFound, NothingToRedrive, ServiceUnavailable]),
)
def post_redrive(queue: str, redrive: Annotated[Redrive, Body()]) -> RedriveResult:
    """Sends one dead letter, or all of them, back to the queue."""
    name, operator = parse_queue(queue), Operator.calling(router, redrive.note)
    if redrive.message_id is None:
        return _queues().redrive_all(operator, name)
    return _queues().redrive(operator, name, redrive.message_id)


@router.post(
    f"{API_PREFIX}/admin/dlqs/<queue>/messages/<message_id>/discard",
    responses=responses(errors=[QueueNotFound, MessageNotFound, ServiceUnavailable]),
)
def post_discard(queue: str, message_id: str, why: Annotated[WithNote, Body()]) -> Discarded:
    """Deletes one dead letter for good."""
    return _queues().discard(Operator.calling(router, why.note), parse_queue(queue), message_id)
