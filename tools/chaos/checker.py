"""Holds the evidence against the promises. Pure: everything it needs to know it is given."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final
from uuid import UUID

from orders.domain import OrderStatus
from tools.audit.checks import Verdict, Violation
from tools.chaos.customers import Answer, Posted
from tools.chaos.dead_letters import DeadLetter
from tools.chaos.evidence import Evidence, Execution
from tools.chaos.plan import Fault

PROMISES: Final = tuple(f"I{number}" for number in range(1, 13))

_ACCEPTED: Final = 202
_CONFLICT: Final = 409
_REFUSED: Final = 422


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """The verdicts on every promise, in the order of their numbers. What SQL can tell is judged already."""
    verdicts = (
        *evidence.verdicts,
        one_execution_at_a_time(evidence.executions),
        only_poison_is_dead(evidence.dead_rows, evidence.buried),
        one_answer_for_one_key(evidence.posted, evidence.statuses.keys()),
        everything_given_up_is_explained(evidence),
    )
    return tuple(sorted(verdicts, key=lambda verdict: PROMISES.index(verdict.promise)))


def one_execution_at_a_time(executions: Iterable[Execution]) -> Verdict:
    by_order: defaultdict[UUID | None, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_order[execution.order_id].append(execution)
    strangers = by_order.pop(None, [])
    violations = [Violation(stranger.name, "works on no order") for stranger in strangers]
    for order_id, its_own in by_order.items():
        for first, second in pairwise(sorted(its_own, key=lambda execution: execution.started)):
            if first.stopped is None or first.stopped > second.started:
                violations.append(
                    Violation(str(order_id), f"{second.name} started before {first.name} was over")
                )
    return Verdict(
        "I6",
        "At most one execution works on an order at a time, by the executions' own times",
        sum(map(len, by_order.values())) + len(strangers),
        tuple(violations),
    )


def only_poison_is_dead(dead: frozenset[UUID], buried: frozenset[UUID]) -> Verdict:
    return Verdict(
        "I8",
        "Of the outbox exactly the poison is DEAD",
        len(dead | buried),
        (
            *(
                Violation(str(row), "is DEAD, though nothing was wrong with it")
                for row in sorted(dead - buried)
            ),
            *(Violation(str(row), "is poison, and is not DEAD") for row in sorted(buried - dead)),
        ),
    )


def one_answer_for_one_key(posted: Iterable[Posted], existing: Iterable[UUID]) -> Verdict:
    posted = tuple(posted)
    violations = [
        Violation(order.planned.key, problem) for order in posted for problem in _problems_with(order)
    ]
    known = frozenset(order_id for order in posted for order_id in order.order_ids)
    if all(_is_answered(order) for order in posted):
        violations += [
            Violation(str(order_id), "exists, though nobody was told of it")
            for order_id in existing
            if order_id not in known
        ]
    return Verdict(
        "I10",
        "One key, one answer: the same order, 409 while it is in flight, 422 for another body",
        sum(len(order.answers) + (order.changed is not None) for order in posted),
        tuple(violations),
    )


def everything_given_up_is_explained(evidence: Evidence) -> Verdict:
    in_review = [order for order, status in evidence.statuses.items() if status is OrderStatus.NEEDS_REVIEW]
    letters = evidence.dead_letters
    found = {letter.mark: letter.queue for letter in letters if letter.mark is not None}
    violations = [
        *(
            Violation(letter.message_id, f"in the dead-letter queue of {letter.queue}, and nobody knows why")
            for letter in letters
            if not _is_explained(letter, evidence)
        ),
        *(
            Violation(mark, f"was planted in {queue}, and is not in its dead-letter queue")
            for mark, queue in evidence.planted.items()
            if found.get(mark) != queue
        ),
        *(
            Violation(str(order), "needs review, and no log says so")
            for order in in_review
            if order not in evidence.announced
        ),
    ]
    return Verdict(
        "I12",
        "Every dead letter is planted poison or an order's event, every order in review is announced",
        len(letters) + len(evidence.planted) + len(in_review),
        tuple(violations),
        tuple(
            Violation(letter.message_id, f"{letter.event.type} of order {letter.event.subject} was given up")
            for letter in letters
            if letter.mark is None and letter.event is not None
        ),
    )


def struck(evidence: Evidence) -> dict[Fault, int]:
    """How often the faults struck that orders bring along."""
    changed = [order.changed for order in evidence.posted if order.changed is not None]
    return {
        Fault.GATEWAY_TIMEOUT: evidence.charged_before_timeout,
        Fault.DUPLICATE_POST: sum(_was_raced(order) for order in evidence.posted),
        Fault.CHANGED_POST: sum(answer.status == _REFUSED for answer in changed),
    }


def _was_raced(order: Posted) -> bool:
    """One post made the order, and another one met it."""
    met = [answer for answer in order.answers if answer.is_replay or answer.status == _CONFLICT]
    return bool(met and order.order_ids)


def _is_answered(order: Posted) -> bool:
    return bool(order.order_ids)


def _problems_with(order: Posted) -> Iterable[str]:
    if not _is_answered(order):
        yield f"was not accepted: {_words(order.answers)}"
    if len(order.order_ids) > 1:
        yield f"made {len(order.order_ids)} orders"
    made = [answer for answer in order.answers if answer.status == _ACCEPTED and not answer.is_replay]
    if len(made) > 1:
        yield f"was answered {len(made)} times as new"
    allowed = {_ACCEPTED, _CONFLICT}
    if any(answer.status not in allowed for answer in order.answers):
        yield f"was answered {_words(order.answers)}"
    if order.changed is not None and order.changed.status != _REFUSED:
        yield f"another body under its key was answered {_words((order.changed,))}"


def _words(answers: Iterable[Answer]) -> str:
    return ", ".join(str(answer.status or "not at all") for answer in answers)


def _is_explained(letter: DeadLetter, evidence: Evidence) -> bool:
    if letter.mark is not None:
        return letter.mark in evidence.planted
    return letter.event is not None and letter.event.subject in evidence.statuses
