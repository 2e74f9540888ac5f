"""A checker that finds nothing is only worth something if it finds what is planted.

What SQL tells about I1–I5, I7–I9 and I11 is planted in `tests/integration/test_checks.py`; here is what only a run of
chaos looks at.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from orders.domain import OrderStatus
from orders.events import CloudEvent, OrderCreated, Queue
from orders.ids import uuid7
from tools.audit.checks import Verdict, Violation
from tools.chaos import checker
from tools.chaos.customers import Answer, Posted
from tools.chaos.dead_letters import DeadLetter
from tools.chaos.evidence import Evidence, Execution
from tools.chaos.healing import Quiet
from tools.chaos.plan import Fault, PlannedOrder, Poison
from tools.chaos.poison import message

ORDER, ANOTHER, POISON_ROW = uuid7(), uuid7(), uuid7()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MARK, BODY = message(Queue.ORDER_PROCESSING, Poison.FOREIGN)

BY_SQL = tuple(
    Verdict(promise, "by SQL", checked=1)
    for promise in ("I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", "I10", "I11")
)


def planned(key: str = "a key", copies: int = 1) -> PlannedOrder:
    return PlannedOrder(0, key, "customer", "pm_card_visa", ((0, 1),), copies, is_changed=False)


def execution(name: str, since: int, until: int | None, order_id: UUID | None = ORDER) -> Execution:
    """Of so many seconds after noon."""
    stopped = None if until is None else NOON + timedelta(seconds=until)
    return Execution(name, order_id, NOON + timedelta(seconds=since), stopped)


def event_of(order_id: UUID) -> str:
    return CloudEvent(
        id=uuid7(),
        type=OrderCreated.type,
        subject=order_id,
        time=NOON,
        correlationid="correlation",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data={"totalAmount": 1, "currency": "USD"},
    ).model_dump_json()


FAULTLESS = Evidence(
    verdicts=BY_SQL,
    posted=(
        Posted(
            planned(copies=3),
            (Answer(202, ORDER), Answer(202, ORDER, is_replay=True), Answer(409)),
            changed=Answer(422),
        ),
        Posted(planned("another key"), (Answer(202, ANOTHER),)),
    ),
    statuses={ORDER: OrderStatus.CONFIRMED, ANOTHER: OrderStatus.NEEDS_REVIEW},
    executions=(
        execution("order-1", 0, 5),
        execution("order-1-r1", 5, 9),
        execution("order-2", 1, 3, ANOTHER),
    ),
    dead_letters=(
        DeadLetter("order-processing", "1", BODY),
        DeadLetter("order-processing", "2", event_of(ORDER)),
    ),
    planted={MARK: "order-processing"},
    dead_rows=frozenset({POISON_ROW}),
    buried=frozenset({POISON_ROW}),
    announced=frozenset({ANOTHER}),
    quiet=Quiet(),
    charged_before_timeout=3,
    repairs=(),
)


def broken(evidence: Evidence) -> dict[str, list[str]]:
    """The problems found, by promise."""
    return {
        verdict.promise: [violation.problem for violation in verdict.violations]
        for verdict in checker.judge(evidence)
        if not verdict.holds
    }


def posted(*answers: Answer, changed: Answer | None = None) -> tuple[Posted, ...]:
    return (Posted(planned(), answers, changed), FAULTLESS.posted[1])


def test_evidence_without_a_fault_keeps_every_promise() -> None:
    assert broken(FAULTLESS) == {}


def test_every_promise_is_judged_and_in_order() -> None:
    judged = [verdict.promise for verdict in checker.judge(FAULTLESS)]
    assert list(dict.fromkeys(judged)) == list(checker.PROMISES)
    assert all(verdict.checked for verdict in checker.judge(FAULTLESS))


def test_what_sql_has_found_is_told() -> None:
    found = Violation("an order", "was charged twice")
    evidence = replace(FAULTLESS, verdicts=(*BY_SQL, Verdict("I2", "by SQL", 1, (found,))))
    assert broken(evidence) == {"I2": ["was charged twice"]}


@pytest.mark.parametrize(
    ("promise", "plant", "problem"),
    [
        (
            "I6",
            lambda: replace(
                FAULTLESS, executions=(execution("order-1", 0, 5), execution("order-1-r1", 4, 9))
            ),
            "order-1-r1 started before order-1 was over",
        ),
        (
            "I6",
            lambda: replace(
                FAULTLESS, executions=(execution("order-1-r1", 4, 9), execution("order-1", 0, None))
            ),
            "order-1-r1 started before order-1 was over",
        ),
        (
            "I6",
            lambda: replace(FAULTLESS, executions=(execution("who-knows", 0, 5, None),)),
            "works on no order",
        ),
        (
            "I8",
            lambda: replace(FAULTLESS, dead_rows=frozenset({POISON_ROW, ORDER})),
            "is DEAD, though nothing was wrong with it",
        ),
        (
            "I8",
            lambda: replace(FAULTLESS, dead_rows=frozenset()),
            "is poison, and is not DEAD",
        ),
        (
            "I10",
            lambda: replace(
                FAULTLESS,
                statuses={**FAULTLESS.statuses, POISON_ROW: OrderStatus.CONFIRMED},
                posted=posted(Answer(202, ORDER), Answer(202, POISON_ROW, is_replay=True)),
            ),
            "made 2 orders",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, posted=posted(Answer(202, ORDER), Answer(202, ORDER))),
            "was answered 2 times as new",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, posted=posted(Answer(202, ORDER), Answer(400))),
            "was answered 202, 400",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, posted=posted(Answer(202, ORDER), changed=Answer(202, ORDER))),
            "another body under its key was answered 202",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, statuses={**FAULTLESS.statuses, POISON_ROW: OrderStatus.CONFIRMED}),
            "exists, though nobody was told of it",
        ),
        (
            "I12",
            lambda: replace(
                FAULTLESS,
                dead_letters=(*FAULTLESS.dead_letters, DeadLetter("order-processing", "3", "{}")),
            ),
            "in the dead-letter queue of order-processing, and nobody knows why",
        ),
        (
            "I12",
            lambda: replace(
                FAULTLESS,
                dead_letters=(
                    *FAULTLESS.dead_letters,
                    DeadLetter("order-processing", "3", event_of(POISON_ROW)),
                ),
            ),
            "in the dead-letter queue of order-processing, and nobody knows why",
        ),
        (
            "I12",
            lambda: replace(FAULTLESS, dead_letters=()),
            "was planted in order-processing, and is not in its dead-letter queue",
        ),
        (
            "I12",
            lambda: replace(FAULTLESS, announced=frozenset()),
            "needs review, and no log says so",
        ),
    ],
)
def test_what_breaks_a_promise_is_found(promise: str, plant: Callable[[], Evidence], problem: str) -> None:
    assert broken(plant()) == {promise: [problem]}


def test_a_customer_who_never_got_an_answer_is_found() -> None:
    problems = broken(replace(FAULTLESS, posted=posted(Answer(0))))["I10"]
    assert problems == ["was not accepted: not at all", "was answered not at all"]


def test_an_event_that_was_given_up_is_a_remark_for_the_operator() -> None:
    (verdict,) = [verdict for verdict in checker.judge(FAULTLESS) if verdict.promise == "I12"]
    assert [remark.problem for remark in verdict.remarks] == [
        f"com.orders.order.created.v1 of order {ORDER} was given up"
    ]


def test_faults_that_orders_bring_along_count_only_where_they_met_something() -> None:
    assert checker.struck(FAULTLESS) == {
        Fault.GATEWAY_TIMEOUT: 3,
        Fault.DUPLICATE_POST: 1,
        Fault.CHANGED_POST: 1,
    }
    alone = replace(FAULTLESS, posted=posted(Answer(202, ORDER), changed=Answer(409)))
    assert checker.struck(alone)[Fault.DUPLICATE_POST] == 0
    assert checker.struck(alone)[Fault.CHANGED_POST] == 0
