"""What only a run of chaos can tell about the promises, added to what is on record. Pure: it is given what it needs."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from tools.audit import evidence as audit_evidence
from tools.audit.evidence import in_order
from tools.audit.verdict import Verdict, Violation
from tools.chaos.customers import FinalResponse, PostedOrder
from tools.chaos.evidence import RunEvidence
from tools.chaos.plan import Fault

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


def struck(evidence: RunEvidence) -> dict[Fault, int]:
    """How often the faults struck that orders bring along."""
    changed = [order.changed for order in evidence.posted if order.changed is not None]
    return {
        Fault.GATEWAY_TIMEOUT: evidence.charged_before_timeout,
        Fault.DUPLICATE_POST: sum(_was_raced(order) for order in evidence.posted),
        Fault.CHANGED_POST: sum(response.status == _REFUSED for response in changed),
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
