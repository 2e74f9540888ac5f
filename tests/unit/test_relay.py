"""The relay's loop, against an outbox and queues in memory and a clock that only the test moves."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from functions.outbox_relay import claims, outcomes, publisher
from functions.outbox_relay.claims import BackOff, Burial, ClaimedEvent
from functions.outbox_relay.messages import MAX_BATCH_MESSAGES, Batch, QueueMessage
from functions.outbox_relay.outcomes import MAX_REFUSALS, EventRefused, Outcome, Published, Undelivered
from functions.outbox_relay.relay import (
    CLAIM_LIMIT,
    LONGEST_PAUSE_IN_OUTAGE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MAX_IN_FLIGHT,
    SAFETY_MARGIN_SECONDS,
    SENDERS,
    SHORTEST_PAUSE_SECONDS,
    Relay,
)
from orders.domain import Priority
from orders.errors import DatabaseUnavailable
from orders.events import OrderCreated
from tests.support.written import recorded

T = TypeVar("T")

PLENTY_SECONDS = 900.0
WINDOW_SECONDS = 60.0


@dataclass
class FakeClock:
    """Time passes only in `sleep`, which also runs what was planned for until then."""

    now: float = 1000.0
    sleeps: list[float] = field(default_factory=list)
    planned: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        due = [action for at, action in self.planned if at <= self.now]
        self.planned = [(at, action) for at, action in self.planned if at > self.now]
        for action in due:
            action()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.planned.append((self.now + seconds, action))


@dataclass
class Row:
    event: ClaimedEvent
    available_at: float
    status: str = "PENDING"
    error: str | None = None


@dataclass
class FakeOutbox:
    """An outbox with leases and tokens, by the test's clock."""

    clock: FakeClock
    rows: dict[UUID, Row] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    failing: dict[str, int] = field(default_factory=dict)
    """How many of the next calls of a method the database cannot be reached for."""

    def add(self, count: int = 1, **changes: Any) -> list[UUID]:
        added = []
        for _ in range(count):
            event = replace(an_event(), **changes)
            self.rows[event.id] = Row(event, self.clock.now)
            added.append(event.id)
        return added

    def claim(self, limit: int) -> list[ClaimedEvent]:
        self._reach("claim")
        token = uuid4()
        due = [
            row
            for row in self.rows.values()
            if row.status == "PENDING" and row.available_at <= self.clock.now
        ]
        for row in due[:limit]:
            row.event = replace(row.event, token=token, attempts=row.event.attempts + 1)
            row.available_at = self.clock.now + claims.LEASE_SECONDS
        return [row.event for row in due[:limit]]

    def mark_published(self, events: Sequence[ClaimedEvent]) -> float | None:
        self._reach("mark_published")
        marked = [self.rows[event.id] for event in events if self._is_ours(event)]
        for row in marked:
            row.status = "PUBLISHED"
        return 12.5 if marked else None

    def back_off(self, failures: Sequence[BackOff]) -> None:
        self._reach("back_off")
        for failure in failures:
            if self._is_ours(failure.event):
                row = self.rows[failure.event.id]
                row.event = replace(row.event, refusals=failure.refusals)
                row.available_at = self.clock.now + failure.delay_seconds
                row.error = failure.error

    def bury(self, failures: Sequence[Burial]) -> None:
        self._reach("bury")
        for failure in failures:
            if self._is_ours(failure.event):
                self.rows[failure.event.id].status = "DEAD"
                self.rows[failure.event.id].error = failure.error

    def statuses(self) -> dict[str, int]:
        return dict(Counter(row.status for row in self.rows.values()))

    def _is_ours(self, event: ClaimedEvent) -> bool:
        row = self.rows[event.id]
        return row.status == "PENDING" and row.event.token == event.token

    def _reach(self, method: str) -> None:
        self.calls[method] += 1
        if self.failing.get(method):
            self.failing[method] -= 1
            raise DatabaseUnavailable("down")


@dataclass
class FakeQueues:
    """Queues that take everything, unless `answer` says otherwise."""

    answer: Callable[[QueueMessage], Outcome] = lambda message: Published(message.event)
    sent: list[UUID] = field(default_factory=list)

    def send(self, batch: Batch) -> list[Outcome]:
        self.sent += [message.event.id for message in batch.messages]
        return [self.answer(message) for message in batch.messages]


class Inline(Executor):
    """Runs work at once, in the caller's thread."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Delayed(Executor):
    """Runs work as soon as the test's clock has moved so far."""

    def __init__(self, clock: FakeClock, delay: Callable[[Batch], float]) -> None:
        self._clock = clock
        self._delay = delay

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        self._clock.after(self._delay(args[0]), lambda: future.set_result(fn(*args, **kwargs)))
        return future


class LastComesFirst(Executor):
    """Runs what was submitted when somebody waits, the last first: calls that leave together arrive in any order."""

    def __init__(self) -> None:
        self._submitted: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        self._submitted.append(lambda: future.set_result(fn(*args, **kwargs)))
        return future

    def wait(self, futures: Iterable[Future[Any]], timeout: float | None = None) -> Any:
        while self._submitted:
            self._submitted.pop()()
        return wait(futures, timeout)


@dataclass
class RelaySetup:
    clock: FakeClock = field(default_factory=FakeClock)
    queues: FakeQueues = field(default_factory=FakeQueues)
    executor: Executor = field(default_factory=Inline)
    outbox: FakeOutbox = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = FakeOutbox(self.clock)

    def delay_calls(self, monkeypatch: pytest.MonkeyPatch, delay: Callable[[Batch], float]) -> None:
        """Makes each call take so long on the test's clock, which then also moves for whoever waits for them all."""
        self.executor = Delayed(self.clock, delay)

        def wait_on_the_clock(futures: Iterable[Future[Any]], timeout: float | None = None) -> Any:
            while timeout is None and not all(future.done() for future in futures):
                self.clock.sleep(0.1)
            return wait(futures, 0)

        monkeypatch.setattr("functions.outbox_relay.relay.wait", wait_on_the_clock)

    def run(
        self, window_seconds: float = WINDOW_SECONDS, remaining_seconds: float = PLENTY_SECONDS
    ) -> dict[str, int]:
        """One run of a relay that may last so long."""
        end = self.clock.now + remaining_seconds
        run = Relay(self.outbox, self.queues, self.executor, self.clock)
        return run.run(window_seconds, lambda: end - self.clock.now)


def an_event() -> ClaimedEvent:
    return ClaimedEvent(
        id=uuid4(),
        token=uuid4(),
        type=OrderCreated.type,
        subject=uuid4(),
        data=json.dumps({"totalAmount": 2500, "currency": "USD"}),
        correlation_id="correlation-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        priority=Priority.NORMAL,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        attempts=0,
        refusals=0,
    )


@pytest.fixture
def setup() -> RelaySetup:
    return RelaySetup()


def test_every_due_event_is_sent_and_marked(setup: RelaySetup) -> None:
    setup.outbox.add(1200)
    counts = setup.run()
    assert setup.outbox.statuses() == {"PUBLISHED": 1200}
    assert sorted(setup.queues.sent) == sorted(setup.outbox.rows)
    assert counts == {"published": 1200, "retried": 0, "dead": 0}


def test_one_claim_and_one_mark_serve_hundreds_of_events(setup: RelaySetup) -> None:
    setup.outbox.add(4 * CLAIM_LIMIT)
    setup.run(window_seconds=0.01)
    assert setup.outbox.calls["claim"] <= 5
    assert setup.outbox.calls["mark_published"] <= 4


def test_only_what_the_queue_confirmed_is_published(setup: RelaySetup) -> None:
    unlucky, *others = setup.outbox.add(10)
    setup.queues.answer = lambda message: (
        Undelivered(message.event, "InternalError")
        if message.event.id == unlucky
        else Published(message.event)
    )
    setup.run(window_seconds=0.1)
    assert setup.outbox.rows[unlucky].status == "PENDING"
    assert setup.outbox.rows[unlucky].error == "InternalError"
    assert {setup.outbox.rows[event_id].status for event_id in others} == {"PUBLISHED"}


def test_a_failed_event_backs_off_instead_of_waiting_for_its_lease(setup: RelaySetup) -> None:
    (unlucky,) = setup.outbox.add()
    answers = iter([Undelivered, Undelivered])
    setup.queues.answer = lambda message: (
        failure(message.event, "InternalError")
        if (failure := next(answers, None))
        else Published(message.event)
    )
    started = setup.clock.now
    setup.run(window_seconds=5)
    assert setup.outbox.rows[unlucky].status == "PUBLISHED"
    assert setup.queues.sent == [unlucky] * 3
    assert setup.clock.now - started < claims.LEASE_SECONDS


def test_an_event_that_is_refused_again_and_again_is_dead_and_blocks_nobody(setup: RelaySetup) -> None:
    (poison,) = setup.outbox.add()
    others = setup.outbox.add(25)
    setup.queues.answer = lambda message: (
        EventRefused(message.event, "InvalidMessageContents")
        if message.event.id == poison
        else Published(message.event)
    )
    with recorded() as written:
        counts = setup.run()
    assert setup.outbox.rows[poison].status == "DEAD"
    assert setup.queues.sent.count(poison) == MAX_REFUSALS
    assert {setup.outbox.rows[event_id].status for event_id in others} == {"PUBLISHED"}
    assert counts == {"published": 25, "retried": MAX_REFUSALS - 1, "dead": 1}

    (line,) = written.logs("Outbox event is dead")
    assert line["level"] == "ERROR"
    assert line["event_id"] == str(poison)
    assert line["order_id"] == str(setup.outbox.rows[poison].event.subject)
    assert line["error"] == "InvalidMessageContents"
    assert written.log_lines == 1
    assert "totalAmount" not in written.text
    assert written.metrics["OutboxDead"] == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"type": "com.orders.order.unheard.v1"}, "UnknownEventType"),
        ({"correlation_id": "c" * 256 * 1024}, "MessageTooLarge"),
    ],
)
def test_an_event_that_can_never_be_sent_is_dead_at_once(
    setup: RelaySetup, changes: dict[str, Any], error: str
) -> None:
    (poison,) = setup.outbox.add(**changes)
    setup.outbox.add(3)
    setup.run(window_seconds=0.1)
    assert (setup.outbox.rows[poison].status, setup.outbox.rows[poison].error) == ("DEAD", error)
    assert poison not in setup.queues.sent
    assert setup.outbox.statuses() == {"DEAD": 1, "PUBLISHED": 3}


@pytest.mark.parametrize(
    "data",
    ["{}", "[]", '{"totalAmount": -1, "currency": "USD"}', "[" * 5000 + "]" * 5000],
    ids=["empty", "array", "negative", "nested without end"],
)
def test_data_that_does_not_fit_its_type_is_dead_after_its_last_refusal(setup: RelaySetup, data: str) -> None:
    (poison,) = setup.outbox.add(data=data)
    setup.outbox.add(3)
    setup.run(window_seconds=0.1)
    assert setup.outbox.statuses() == {"PENDING": 1, "PUBLISHED": 3}
    setup.run()
    assert (setup.outbox.rows[poison].status, setup.outbox.rows[poison].error) == ("DEAD", "InvalidEventData")
    assert setup.outbox.rows[poison].event.attempts == MAX_REFUSALS


def test_urgent_events_have_arrived_before_normal_ones_of_their_claim_leave(
    setup: RelaySetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = LastComesFirst()
    setup.executor = calls
    monkeypatch.setattr("functions.outbox_relay.relay.wait", calls.wait)
    setup.outbox.add(100)
    urgent = setup.outbox.add(5, priority=Priority.HIGH)
    setup.run(window_seconds=0.1)
    assert set(setup.queues.sent[:5]) == set(urgent)
    assert setup.outbox.statuses() == {"PUBLISHED": 105}


def test_an_outage_of_any_length_kills_no_event(setup: RelaySetup) -> None:
    setup.outbox.add(20)
    setup.queues.answer = lambda message: Undelivered(message.event, "EndpointConnectionError")
    for _ in range(30):
        setup.run()
    assert setup.outbox.statuses() == {"PENDING": 20}
    assert min(row.event.attempts for row in setup.outbox.rows.values()) > 5 * MAX_REFUSALS

    setup.queues.answer = lambda message: Published(message.event)
    setup.run()
    assert setup.outbox.statuses() == {"PUBLISHED": 20}


def test_what_failed_in_an_outage_still_has_all_its_refusals_after_it(setup: RelaySetup) -> None:
    (event_id,) = setup.outbox.add()
    setup.queues.answer = lambda message: Undelivered(message.event, "EndpointConnectionError")
    for _ in range(10):
        setup.run()
    setup.queues.sent.clear()

    setup.queues.answer = lambda message: EventRefused(message.event, "InvalidMessageContents")
    while setup.outbox.rows[event_id].status == "PENDING":
        setup.run()
    assert len(setup.queues.sent) == MAX_REFUSALS


def test_an_outage_is_not_met_with_a_storm_of_claims(setup: RelaySetup) -> None:
    setup.outbox.add(20_000)
    setup.queues.answer = lambda message: Undelivered(message.event, "EndpointConnectionError")
    setup.run()
    assert max(setup.clock.sleeps) == LONGEST_PAUSE_IN_OUTAGE_SECONDS
    assert setup.outbox.calls["claim"] < 60


def test_a_poll_is_quick_while_there_is_work_and_slower_when_there_is_none(setup: RelaySetup) -> None:
    setup.outbox.add()
    setup.run(window_seconds=3)
    assert setup.clock.sleeps[:4] == pytest.approx([0.05, 0.1, 0.2, 0.2])
    assert SHORTEST_PAUSE_SECONDS == 0.05
    assert LONGEST_PAUSE_SECONDS == 0.2

    setup.clock.sleeps.clear()
    setup.clock.after(1, setup.outbox.add)
    setup.run(window_seconds=3)
    assert setup.clock.sleeps.count(0.05) == 1


def test_a_full_claim_is_followed_by_the_next_without_a_pause(setup: RelaySetup) -> None:
    setup.outbox.add(10 * CLAIM_LIMIT)
    setup.run(window_seconds=0.01)
    assert setup.outbox.statuses() == {"PUBLISHED": 10 * CLAIM_LIMIT}


def test_a_run_ends_with_its_window(setup: RelaySetup) -> None:
    started = setup.clock.now
    setup.run(window_seconds=5)
    assert 5 <= setup.clock.now - started < 5 + LONGEST_PAUSE_SECONDS


def test_a_run_ends_when_the_functions_time_nearly_has(setup: RelaySetup) -> None:
    started = setup.clock.now
    setup.run(window_seconds=600, remaining_seconds=SAFETY_MARGIN_SECONDS + 5)
    assert 5 <= setup.clock.now - started < 5 + LONGEST_PAUSE_SECONDS


def test_without_time_nothing_is_claimed(setup: RelaySetup) -> None:
    setup.outbox.add(3)
    setup.run(remaining_seconds=SAFETY_MARGIN_SECONDS)
    assert setup.outbox.calls["claim"] == 0


def test_a_run_never_ends_with_claimed_events_that_it_did_not_try_to_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = RelaySetup()
    setup.delay_calls(monkeypatch, lambda batch: 0.5)
    setup.outbox.add(3 * MAX_IN_FLIGHT)
    setup.run(window_seconds=0.3)
    claimed = [row for row in setup.outbox.rows.values() if row.event.attempts]
    assert claimed
    assert {row.status for row in claimed} == {"PUBLISHED"}
    assert sorted(setup.queues.sent) == sorted(row.event.id for row in claimed)


def test_a_slow_call_holds_up_only_its_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = RelaySetup()
    slow = setup.outbox.add(MAX_BATCH_MESSAGES)
    setup.delay_calls(monkeypatch, lambda batch: 8 if batch.messages[0].event.id in slow else 0.01)
    others = setup.outbox.add(MAX_BATCH_MESSAGES)
    seen: list[dict[str, int]] = []
    setup.clock.after(3, lambda: setup.outbox.add(5))
    setup.clock.after(4, lambda: seen.append(setup.outbox.statuses()))
    setup.run(window_seconds=10)
    assert seen == [{"PENDING": len(slow), "PUBLISHED": len(others) + 5}]
    assert setup.outbox.statuses() == {"PUBLISHED": len(slow) + len(others) + 5}


def test_no_more_is_claimed_than_can_be_sent_within_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = RelaySetup()
    setup.delay_calls(monkeypatch, lambda batch: 30)
    claimed: list[int] = []
    setup.outbox.add(2 * MAX_IN_FLIGHT)
    setup.clock.after(
        20, lambda: claimed.append(sum(row.event.attempts for row in setup.outbox.rows.values()))
    )
    setup.run(window_seconds=100)
    assert claimed == [MAX_IN_FLIGHT]
    assert setup.outbox.statuses() == {"PUBLISHED": 2 * MAX_IN_FLIGHT}


def test_the_safety_margin_and_the_lease_cover_the_slowest_sending() -> None:
    batches = MAX_IN_FLIGHT / MAX_BATCH_MESSAGES
    slowest = batches / SENDERS * publisher.LONGEST_CALL_SECONDS
    assert slowest < SAFETY_MARGIN_SECONDS
    assert SAFETY_MARGIN_SECONDS < claims.LEASE_SECONDS


def test_a_database_that_is_away_is_waited_for(setup: RelaySetup) -> None:
    setup.outbox.add(3)
    setup.outbox.failing = {"claim": 4}
    with recorded() as written:
        setup.run()
    assert setup.outbox.statuses() == {"PUBLISHED": 3}
    assert len(written.logs("The outbox cannot be reached")) == 4


def test_what_was_sent_while_the_database_was_away_is_marked_later_and_not_sent_again(
    setup: RelaySetup,
) -> None:
    setup.outbox.add(3)
    setup.outbox.failing = {"mark_published": 4}
    counts = setup.run()
    assert setup.outbox.statuses() == {"PUBLISHED": 3}
    assert len(setup.queues.sent) == 3
    assert counts["published"] == 3


def test_a_run_that_cannot_record_what_it_sent_fails(setup: RelaySetup) -> None:
    setup.outbox.add(3)
    setup.outbox.failing = {"mark_published": 1000}
    with pytest.raises(DatabaseUnavailable):
        setup.run()


def test_metrics_are_written_every_few_seconds_and_not_for_each_poll(setup: RelaySetup) -> None:
    def add_some() -> None:
        setup.outbox.add(2)
        setup.clock.after(0.5, add_some)

    add_some()
    with recorded() as written:
        setup.run(window_seconds=60)
    assert 5 <= len(written.metric_lines) <= 7
    assert all(line["OutboxLag"] == [12.5] for line in written.metric_lines)
    assert written.metrics["OutboxPublished"] == setup.outbox.statuses()["PUBLISHED"]
    assert written.log_lines == 0


def test_retries_are_counted(setup: RelaySetup) -> None:
    setup.outbox.add(4)
    setup.queues.answer = lambda message: Undelivered(message.event, "RequestThrottled")
    with recorded() as written:
        setup.run(window_seconds=0.01)
    assert written.metrics == {"OutboxRetried": 4}


def test_an_idle_run_writes_nothing(setup: RelaySetup) -> None:
    with recorded() as written:
        setup.run()
    assert written.text == ""


@pytest.mark.parametrize(
    ("attempts", "nominal"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (9999, 30)]
)
def test_the_wait_grows_exponentially_up_to_its_limit_with_jitter(attempts: int, nominal: float) -> None:
    waits = [outcomes.backoff_seconds(attempts) for _ in range(200)]
    assert nominal / 2 <= min(waits)
    assert max(waits) <= nominal
    assert max(waits) - min(waits) > nominal / 4
