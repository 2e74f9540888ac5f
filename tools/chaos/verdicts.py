"""What a run of chaos has left behind, and what only it can tell about the promises, added to what is on record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from orders.domain import CancellationOutcome, OrderStatus
from tools.audit import evidence as audit_evidence
from tools.audit.database import Scope
from tools.audit.evidence import Evidence, in_order
from tools.audit.verdict import Verdict, Violation
from tools.chaos.customers import FinalResponse, PostedOrder
from tools.chaos.nemesis import Nemesis
from tools.chaos.plan import Fault
from tools.chaos.system import SystemUnderTest

_ORDERS: Final = "SELECT id FROM orders"
_DEAD: Final = "SELECT id FROM outbox WHERE status = 'DEAD'"
_REFUNDS: Final = "SELECT order_id, count(*) FROM refunds WHERE status <> 'REJECTED' GROUP BY order_id"
_REPAIRS: Final = "SELECT kind, order_id, detail FROM repairs ORDER BY id"
_CHARGED: Final = """
    SELECT count(DISTINCT payments.order_id) FROM orders
    JOIN payments ON payments.order_id = orders.id
    JOIN gateway.entries ON entries.key = payments.provider_key AND entries.kind = 'CAPTURE'
    WHERE orders.payment_method = 'pm_card_timeout'
"""


@dataclass(frozen=True)
class Repair:
    """A repair as the system recorded it."""

    kind: str
    order_id: UUID
    detail: str


@dataclass
class Rest:
    """How the system came to rest."""

    under_way: list[str] = field(default_factory=list)
    """What had not come to rest in time."""
    terminal_seconds: float | None = None
    """From the healing until every order had ended; None if that has not happened."""
    seconds: float = 0.0
    """From the healing until nothing moved any more."""
    redriven: list[str] = field(default_factory=list)
    """Events that had been given up and were put back into their queues."""


@dataclass(frozen=True)
class RunEvidence:
    """Everything that there is to know."""

    on_record: Evidence
    posted: tuple[PostedOrder, ...]
    dead_rows: frozenset[UUID]
    """Outbox rows that were given up."""
    planted_rows: frozenset[UUID]
    """Poison that was planted in the outbox."""
    rest: Rest
    charged_before_timeout: int
    """Orders whose gateway charged and did not answer."""
    repairs: tuple[Repair, ...]
    """What maintenance and reconciliation have put right."""
    refunds: Mapping[UUID, int] = field(default_factory=dict)
    """How many each order has."""


def gather(
    system: SystemUnderTest, nemesis: Nemesis, posted: Iterable[PostedOrder], started: datetime, rest: Rest
) -> RunEvidence:
    """Reads it all, when the system is at rest."""
    posted = tuple(posted)
    accepted = {order_id for order in posted for order_id in order.order_ids}
    existing = {order_id for (order_id,) in system.query(_ORDERS)}
    ((charged,),) = system.query(_CHARGED)
    return RunEvidence(
        on_record=audit_evidence.gather(
            system.settings,
            system.stack,
            system.engine,
            Scope.of(accepted | existing, started),
            nemesis.planted_messages,
        ),
        posted=posted,
        dead_rows=frozenset(event_id for (event_id,) in system.query(_DEAD)),
        planted_rows=frozenset(nemesis.planted_rows),
        rest=rest,
        charged_before_timeout=int(charged),
        repairs=tuple(Repair(*repair) for repair in system.query(_REPAIRS)),
        refunds={order_id: int(number) for order_id, number in system.query(_REFUNDS)},
    )


_ACCEPTED: Final = 202
_CONFLICT: Final = 409
_REFUSED: Final = 422


def judge(evidence: RunEvidence) -> tuple[Verdict, ...]:
    """The verdicts on every promise, in the order of their numbers."""
    return tuple(
        in_order(
            *audit_evidence.judge(evidence.on_record),
            only_poison_is_dead(evidence.dead_rows, evidence.planted_rows),
            one_order_for_one_key(evidence.posted, evidence.on_record.statuses.keys()),
            cancelled_as_customers_were_told(evidence),
        )
    )


def only_poison_is_dead(dead: frozenset[UUID], planted: frozenset[UUID]) -> Verdict:
    return Verdict(
        "I8",
        "Of the outbox exactly the poison is DEAD",
        len(dead | planted),
        (
            *(
                Violation(str(row), "is DEAD, though nothing was wrong with it")
                for row in sorted(dead - planted)
            ),
            *(Violation(str(row), "is poison, and is not DEAD") for row in sorted(planted - dead)),
        ),
    )


def one_order_for_one_key(posted: Iterable[PostedOrder], existing: Iterable[UUID]) -> Verdict:
    posted = tuple(posted)
    violations = [
        Violation(order.planned.key, problem) for order in posted for problem in _problems_with(order)
    ]
    known = frozenset(order_id for order in posted for order_id in order.order_ids)
    if all(_is_accepted(order) for order in posted):
        violations += [
            Violation(str(order_id), "exists, though nobody was told of it")
            for order_id in existing
            if order_id not in known
        ]
    return Verdict(
        "I10",
        "One key, one answer: the same order, 409 while it is in flight, 422 for another body",
        sum(len(order.responses) + (order.changed is not None) for order in posted),
        tuple(violations),
    )


def cancelled_as_customers_were_told(evidence: RunEvidence) -> Verdict:
    cancelled = [order for order in evidence.posted if order.cancellation is not None]
    return Verdict(
        "I3",
        "Who was told that their order is cancelled, or refunded, has it so",
        len(cancelled),
        tuple(
            Violation(str(order_id), problem)
            for order in cancelled
            for order_id in order.order_ids
            if (problem := _problem_with_cancellation(order, order_id, evidence))
        ),
    )


def _problem_with_cancellation(order: PostedOrder, order_id: UUID, evidence: RunEvidence) -> str | None:
    cancellation, status = order.cancellation, evidence.on_record.statuses.get(order_id)
    assert cancellation is not None
    if status is OrderStatus.NEEDS_REVIEW:
        return None
    refunds = evidence.refunds.get(order_id, 0)
    allowed = {
        (_ACCEPTED, CancellationOutcome.CANCELLING): (OrderStatus.CANCELLED, 0),
        (_ACCEPTED, CancellationOutcome.REFUNDING): (OrderStatus.CONFIRMED, 1),
        # It had failed before.
        (_CONFLICT, None): (OrderStatus.CANCELLED, 0),
    }
    if allowed.get((cancellation.status, cancellation.outcome)) == (status, refunds):
        return None
    told = cancellation.outcome or cancellation.status or "not at all"
    return f"its cancellation was answered {told}, and it is {status} with {refunds} refunds"


def struck(evidence: RunEvidence) -> dict[Fault, int]:
    """How often the faults struck that orders bring along."""
    changed = [order.changed for order in evidence.posted if order.changed is not None]
    return {
        Fault.GATEWAY_TIMEOUT: evidence.charged_before_timeout,
        Fault.DUPLICATE_POST: sum(_was_raced(order) for order in evidence.posted),
        Fault.CHANGED_POST: sum(response.status == _REFUSED for response in changed),
        Fault.CANCELLED_ORDER: sum(
            order.cancellation is not None and order.cancellation.status in (_ACCEPTED, _CONFLICT)
            for order in evidence.posted
            if order.planned.returned_at is None
        ),
    }


def _was_raced(order: PostedOrder) -> bool:
    """One post made the order, and another one met it."""
    met = [response for response in order.responses if response.is_replay or response.status == _CONFLICT]
    return bool(met and order.order_ids)


def _is_accepted(order: PostedOrder) -> bool:
    return bool(order.order_ids)


def _problems_with(order: PostedOrder) -> Iterable[str]:
    if not _is_accepted(order):
        yield f"was not accepted: {_statuses(order.responses)}"
    if len(order.order_ids) > 1:
        yield f"made {len(order.order_ids)} orders"
    made = [
        response for response in order.responses if response.status == _ACCEPTED and not response.is_replay
    ]
    if len(made) > 1:
        yield f"was answered {len(made)} times as new"
    allowed = {_ACCEPTED, _CONFLICT}
    if any(response.status not in allowed for response in order.responses):
        yield f"was answered {_statuses(order.responses)}"
    if order.changed is not None and order.changed.status != _REFUSED:
        yield f"another body under its key was answered {_statuses((order.changed,))}"


def _statuses(responses: Iterable[FinalResponse]) -> str:
    return ", ".join(str(response.status or "not at all") for response in responses)
