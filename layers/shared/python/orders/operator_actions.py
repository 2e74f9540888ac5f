"""Who operates and why, and the record of what operators did.

An action is recorded before it is done: one that died half-way is recorded too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Self
from uuid import UUID

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import Field
from sqlalchemy import Connection, text

from orders.contract import Metric
from orders.fields import OneLine
from orders.http import ApiRequest, caller
from orders.observability import count, logger
from orders.tracing import current_traceparent

MAX_NOTE: Final = 500

Note = Annotated[str, OneLine(MAX_NOTE), Field(examples=["the provider's maintenance is over"])]
"""Why it was done. It is kept, so it should name no customer."""


class WithNote(ApiRequest):
    note: Note


class MaybeNote(ApiRequest):
    note: Note | None = None


_RECORD: Final = text("""
    INSERT INTO operator_actions (action, operator, target, order_id, note, detail)
    SELECT :action, :operator, target, order_id, :note, detail
    FROM unnest(CAST(:targets AS text[]), CAST(:order_ids AS uuid[]), CAST(:details AS text[]))
        AS acted_on (target, order_id, detail)
""")


class Action(StrEnum):
    ORDER_RESUMED = "ORDER_RESUMED"
    ORDER_CLOSED = "ORDER_CLOSED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    """Another user's order was cancelled for them."""
    REFUND_GRANTED = "REFUND_GRANTED"
    REFUND_RESUMED = "REFUND_RESUMED"
    REFUND_REJECTED = "REFUND_REJECTED"
    """A refund that the payment provider has not given was taken back."""
    EVENT_REDRIVEN = "EVENT_REDRIVEN"
    """A dead event of the outbox was made pending again."""
    EVENT_DISCARDED = "EVENT_DISCARDED"
    MESSAGE_REDRIVEN = "MESSAGE_REDRIVEN"
    QUEUE_REDRIVEN = "QUEUE_REDRIVEN"
    """All messages of a dead-letter queue."""
    MESSAGE_DISCARDED = "MESSAGE_DISCARDED"
    CUSTOMER_ERASED = "CUSTOMER_ERASED"
    """A customer's personal data was erased, or will be once their orders have ended."""
    NOTIFICATION_RESENT = "NOTIFICATION_RESENT"
    """A message of an order was asked for once more."""
    WEBHOOK_REDELIVERED = "WEBHOOK_REDELIVERED"
    ADDRESS_ALLOWED = "ADDRESS_ALLOWED"
    """An address to which a mail bounced, or that complained of one, may get mail again."""


@dataclass(frozen=True)
class Operator:
    """Who asks, and why. `id` is the subject of their token."""

    id: str
    note: str = ""
    traceparent: str = field(default_factory=current_traceparent)
    """The trace of their request, in which goes on what they ask for."""

    @classmethod
    def calling(cls, router: APIGatewayHttpRouter, note: str | None) -> Self:
        """Who sent the request that the router's route is called for."""
        request = router.current_event
        return cls(caller(request), note or "", current_traceparent(request.headers))


@dataclass(frozen=True)
class ActedOn:
    """What an action was done to. `detail` holds ids and codes, never personal data."""

    target: str
    order_id: UUID | None
    detail: str


def record(
    connection: Connection,
    operator: Operator,
    action: Action,
    target: str,
    *,
    order_id: UUID | None = None,
    detail: str = "",
) -> None:
    """Records an action in the caller's transaction."""
    record_each(connection, operator, action, [ActedOn(target, order_id, detail)])


def record_each(
    connection: Connection, operator: Operator, action: Action, acted_on: Sequence[ActedOn]
) -> None:
    """The same for an action on many things at once, in one statement."""
    connection.execute(
        _RECORD,
        {
            "action": action,
            "operator": operator.id,
            "note": operator.note,
            "targets": [one.target for one in acted_on],
            "order_ids": [one.order_id for one in acted_on],
            "details": [one.detail for one in acted_on],
        },
    )


def report(operator: Operator, action: Action, target: str, order_id: UUID | None = None) -> None:
    """Counts and logs an action, once it is recorded. The note is not logged."""
    count(Metric.OPERATOR_ACTIONS)
    facts = {"action": action, "operator": operator.id, "target": target}
    if order_id is not None:
        facts["order_id"] = str(order_id)
    logger.info("Operator's action", extra=facts)
