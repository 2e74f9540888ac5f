"""A checker that finds nothing is only worth something if it finds what is planted.

What SQL tells about I1–I5, I7–I9 and I11 is planted in `tests/integration/test_checks.py`; here is what is read from
elsewhere, and what only a run of chaos knows.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from orders.domain import CancellationOutcome, OrderStatus
from orders.events import CloudEvent, OrderCreated, Queue
from orders.ids import uuid7
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import ProviderMessage
from tools.audit.dead_letters import DeadLetter
from tools.audit.evidence import Evidence
from tools.audit.executions import Execution
from tools.audit.verdict import NUMBERS, Verdict, Violation
from tools.chaos import verdicts
from tools.chaos.customers import Cancellation, FinalResponse, PostedOrder
from tools.chaos.plan import Fault, PlannedOrder, Poison
from tools.chaos.poison import message
from tools.chaos.verdicts import Rest, RunEvidence

ORDER, ANOTHER, POISON_ROW = uuid7(), uuid7(), uuid7()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MARK, BODY = message(Queue.ORDER_PROCESSING, Poison.FOREIGN)

BY_SQL = tuple(
    Verdict(promise, "by SQL", checked=1)
    for promise in ("I1", "I2", "I3", "I4", "I5", "I7", "I8", "I9", "I10", "I11", "I13")
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


def told_of(order_id: UUID) -> str:
    """What the queue of the payment provider's webhooks carries."""
    return ProviderMessage(
        provider=PaymentProvider.SIMULATOR,
        event_id="evt_1",
        type="payment.captured",
        payment_id="pay_1",
        key=f"order-{order_id}",
        correlation_id="corr-1",
    ).model_dump_json(by_alias=True)


ON_RECORD = Evidence(
    verdicts=BY_SQL,
    statuses={ORDER: OrderStatus.CONFIRMED, ANOTHER: OrderStatus.NEEDS_REVIEW},
    executions=(
        execution("order-1", 0, 5),
        execution("order-1-r1", 5, 9),
        execution("order-2", 1, 3, ANOTHER),
    ),
    dead_letters=(
        DeadLetter("order-processing", "1", BODY),
        DeadLetter("order-processing", "2", event_of(ORDER)),
        DeadLetter("payment-webhooks", "3", told_of(ORDER)),
    ),
    in_review=frozenset({ANOTHER}),
    announced=frozenset({ANOTHER}),
    planted={MARK: "order-processing"},
)
FAULTLESS = RunEvidence(
    on_record=ON_RECORD,
    posted=(
        PostedOrder(
            planned(copies=3),
            (FinalResponse(202, ORDER), FinalResponse(202, ORDER, is_replay=True), FinalResponse(409)),
            changed=FinalResponse(422),
        ),
        PostedOrder(
            planned("another key"),
            (FinalResponse(202, ANOTHER),),
            cancellation=Cancellation(202, CancellationOutcome.CANCELLING),
        ),
    ),
    dead_rows=frozenset({POISON_ROW}),
    planted_rows=frozenset({POISON_ROW}),
    rest=Rest(),
    charged_before_timeout=3,
    repairs=(),
)


def recorded(**changes: Any) -> RunEvidence:
    """Faultless, but for what is on record."""
    return replace(FAULTLESS, on_record=replace(ON_RECORD, **changes))


def broken(evidence: RunEvidence) -> dict[str, list[str]]:
    """The problems found, by promise."""
    return {
        verdict.promise: [violation.problem for violation in verdict.violations]
        for verdict in verdicts.judge(evidence)
        if not verdict.holds
    }


def posted(*answers: FinalResponse, changed: FinalResponse | None = None) -> tuple[PostedOrder, ...]:
    return (PostedOrder(planned(), answers, changed), FAULTLESS.posted[1])


def test_evidence_without_a_fault_keeps_every_promise() -> None:
    assert broken(FAULTLESS) == {}


def test_every_promise_is_judged_and_in_order() -> None:
    judged = [verdict.promise for verdict in verdicts.judge(FAULTLESS)]
    assert list(dict.fromkeys(judged)) == list(NUMBERS)
    assert all(verdict.checked for verdict in verdicts.judge(FAULTLESS))


def test_what_sql_has_found_is_told() -> None:
    found = Violation("an order", "was charged twice")
    evidence = recorded(verdicts=(*BY_SQL, Verdict("I2", "by SQL", 1, (found,))))
    assert broken(evidence) == {"I2": ["was charged twice"]}


@pytest.mark.parametrize(
    ("promise", "plant", "problem"),
    [
        (
            "I6",
            lambda: recorded(executions=(execution("order-1", 0, 5), execution("order-1-r1", 4, 9))),
            "order-1-r1 started before order-1 was over",
        ),
        (
            "I6",
            lambda: recorded(executions=(execution("order-1-r1", 4, 9), execution("order-1", 0, None))),
            "order-1-r1 started before order-1 was over",
        ),
        (
            "I6",
            lambda: recorded(executions=(execution("who-knows", 0, 5, None),)),
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
                recorded(statuses={**ON_RECORD.statuses, POISON_ROW: OrderStatus.CONFIRMED}),
                posted=posted(FinalResponse(202, ORDER), FinalResponse(202, POISON_ROW, is_replay=True)),
            ),
            "made 2 orders",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, posted=posted(FinalResponse(202, ORDER), FinalResponse(202, ORDER))),
            "was answered 2 times as new",
        ),
        (
            "I10",
            lambda: replace(FAULTLESS, posted=posted(FinalResponse(202, ORDER), FinalResponse(400))),
            "was answered 202, 400",
        ),
        (
            "I10",
            lambda: replace(
                FAULTLESS, posted=posted(FinalResponse(202, ORDER), changed=FinalResponse(202, ORDER))
            ),
            "another body under its key was answered 202",
        ),
        (
            "I10",
            lambda: recorded(statuses={**ON_RECORD.statuses, POISON_ROW: OrderStatus.CONFIRMED}),
            "exists, though nobody was told of it",
        ),
        (
            "I12",
            lambda: recorded(
                dead_letters=(*ON_RECORD.dead_letters, DeadLetter("order-processing", "3", "{}")),
            ),
            "in the dead-letter queue of order-processing, and nobody knows why",
        ),
        (
            "I12",
            lambda: recorded(
                dead_letters=(
                    *ON_RECORD.dead_letters,
                    DeadLetter("order-processing", "3", event_of(POISON_ROW)),
                ),
            ),
            "in the dead-letter queue of order-processing, and nobody knows why",
        ),
        *(
            (
                "I12",
                lambda queue=queue, body=body: recorded(
                    dead_letters=(*ON_RECORD.dead_letters, DeadLetter(queue, "4", body)),
                ),
                f"in the dead-letter queue of {queue}, and nobody knows why",
            )
            for queue, body in [
                ("payment-webhooks", told_of(POISON_ROW)),
                ("payment-webhooks", "{}"),
                ("mail-feedback", told_of(ORDER)),
            ]
        ),
        (
            "I12",
            lambda: recorded(dead_letters=()),
            "was planted in order-processing, and is not in its dead-letter queue",
        ),
        (
            "I12",
            lambda: recorded(announced=frozenset()),
            "needs review, and no log says so",
        ),
    ],
)
def test_what_breaks_a_promise_is_found(promise: str, plant: Callable[[], RunEvidence], problem: str) -> None:
    assert broken(plant()) == {promise: [problem]}


def test_a_customer_who_never_got_an_answer_is_found() -> None:
    problems = broken(replace(FAULTLESS, posted=posted(FinalResponse(0))))["I10"]
    assert problems == ["was not accepted: not at all", "was answered not at all"]


def test_what_was_given_up_is_a_remark_for_the_operator() -> None:
    (verdict,) = [verdict for verdict in verdicts.judge(FAULTLESS) if verdict.promise == "I12"]
    assert [remark.problem for remark in verdict.remarks] == [
        f"com.orders.order.created.v1 of order {ORDER} was given up",
        f"simulator's payment.captured of order {ORDER} was given up",
    ]


def test_faults_that_orders_bring_along_count_only_where_they_met_something() -> None:
    assert verdicts.struck(FAULTLESS) == {
        Fault.GATEWAY_TIMEOUT: 3,
        Fault.DUPLICATE_POST: 1,
        Fault.CHANGED_POST: 1,
        Fault.CANCELLED_ORDER: 1,
    }
    alone = replace(FAULTLESS, posted=posted(FinalResponse(202, ORDER), changed=FinalResponse(409)))
    assert verdicts.struck(alone)[Fault.DUPLICATE_POST] == 0
    assert verdicts.struck(alone)[Fault.CHANGED_POST] == 0


def cancelled(cancellation: Cancellation, status: OrderStatus, refunds: int = 0) -> RunEvidence:
    """Faultless, but for an order that its customer has cancelled."""
    return replace(
        recorded(statuses={ORDER: status}),
        posted=(replace(FAULTLESS.posted[0], cancellation=cancellation),),
        refunds={ORDER: refunds},
    )


CANCELLING = Cancellation(202, CancellationOutcome.CANCELLING)
REFUNDING = Cancellation(202, CancellationOutcome.REFUNDING)


@pytest.mark.parametrize(
    ("cancellation", "status", "refunds"),
    [
        (CANCELLING, OrderStatus.CANCELLED, 0),
        (CANCELLING, OrderStatus.NEEDS_REVIEW, 0),
        (REFUNDING, OrderStatus.CONFIRMED, 1),
        (Cancellation(409), OrderStatus.CANCELLED, 0),
    ],
)
def test_an_order_may_end_as_its_customer_was_told(
    cancellation: Cancellation, status: OrderStatus, refunds: int
) -> None:
    verdict = verdicts.cancelled_as_customers_were_told(cancelled(cancellation, status, refunds))

    assert (verdict.holds, verdict.checked) == (True, 1)


@pytest.mark.parametrize(
    ("cancellation", "status", "refunds"),
    [
        (CANCELLING, OrderStatus.CONFIRMED, 0),
        (CANCELLING, OrderStatus.CONFIRMED, 1),
        (REFUNDING, OrderStatus.CONFIRMED, 0),
        (REFUNDING, OrderStatus.CONFIRMED, 2),
        (REFUNDING, OrderStatus.CANCELLED, 0),
        (Cancellation(409), OrderStatus.CONFIRMED, 0),
        (Cancellation(404), OrderStatus.CANCELLED, 0),
        (Cancellation(0), OrderStatus.CANCELLED, 0),
    ],
)
def test_a_customer_who_was_told_otherwise_is_found(
    cancellation: Cancellation, status: OrderStatus, refunds: int
) -> None:
    assert not verdicts.cancelled_as_customers_were_told(cancelled(cancellation, status, refunds)).holds
