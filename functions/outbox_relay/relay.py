"""The loop: claim, send, mark, again and again until the run's time is over.

The main thread talks to the database, a pool of threads to SQS. What is in flight is collected every few
milliseconds, so one slow call holds up nothing but its own events, and the next claim is made while the last one is
still being sent.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import asdict, dataclass, field
from typing import Final, Protocol

from aws_lambda_powertools.metrics import MetricUnit

from functions.outbox_relay import outcomes
from functions.outbox_relay.claims import BackOff, Burial, ClaimedEvent, most_urgent
from functions.outbox_relay.messages import Batch, QueueMessage, compose, pack
from functions.outbox_relay.outcomes import EventRefused, Failure, Outcome, Published, Undelivered
from orders.contract import Metric
from orders.domain import Priority
from orders.errors import DatabaseUnavailable
from orders.observability import count, logger, write_metrics
from orders.tracing import trace_id

SENDERS: Final = 25
"""Threads, each with a connection to SQS. At 10 ms a call, the interpreter is busy with fewer than these."""
CLAIM_LIMIT: Final = 250
FULL_CLAIM: Final = most_urgent(CLAIM_LIMIT)
"""After a claim of so many events there may be more."""
MAX_IN_FLIGHT: Final = 2 * CLAIM_LIMIT
"""Events claimed and not yet marked: as many as can be sent well within their lease, even if every call takes as
long as it may."""
COLLECT_SECONDS: Final = 0.05
"""How long one turn waits for responses before it marks what has one."""
SHORTEST_PAUSE_SECONDS: Final = 0.05
"""After a claim that took all there was. What is written meanwhile shares a statement and a call to SQS."""
LONGEST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_IN_OUTAGE_SECONDS: Final = 2.0
"""Between turns that published nothing although they tried: each of them costs a write of every row it claimed."""
SAFETY_MARGIN_SECONDS: Final = 25
"""Nothing new is claimed when less than this is left of the function's time: it is what the events in flight may need
to be sent and marked."""

WRITE_EVERY_SECONDS: Final = 10
"""A run lasts a minute: metrics of its start are too old at its end, and one line for each poll is too many."""


class Outbox(Protocol):
    """The database's side; see `claims.Claims`."""

    def claim(self, limit: int) -> list[ClaimedEvent]: ...
    def mark_published(self, events: Sequence[ClaimedEvent]) -> float | None: ...
    def back_off(self, failures: Sequence[BackOff]) -> None: ...
    def bury(self, failures: Sequence[Burial]) -> None: ...


class Publisher(Protocol):
    """The queues' side; see `publisher.SqsPublisher`."""

    def send(self, batch: Batch) -> list[Outcome]: ...


class Clock(Protocol):
    """`time`, or a test's."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


@dataclass
class Counts:
    published: int = 0
    retried: int = 0
    dead: int = 0

    def add(self, other: "Counts") -> None:
        self.published += other.published
        self.retried += other.retried
        self.dead += other.dead


@dataclass
class Tally:
    """Counts of the whole run, and of the time since metrics were last written. Times are the relay's own clock."""

    written_at: float
    total: Counts = field(default_factory=Counts)
    _recent: Counts = field(default_factory=Counts)
    _lag_ms: float | None = None

    def add(self, counts: Counts, lag_ms: float | None) -> None:
        """`lag_ms` is that of the oldest event just published, if any was."""
        self.total.add(counts)
        self._recent.add(counts)
        if lag_ms is not None:
            self._lag_ms = max(lag_ms, self._lag_ms or 0)

    def write(self, now: float) -> None:
        """Writes what happened since the last time; nothing, if nothing did."""
        for metric, value in (
            (Metric.OUTBOX_PUBLISHED, self._recent.published),
            (Metric.OUTBOX_RETRIED, self._recent.retried),
            (Metric.OUTBOX_DEAD, self._recent.dead),
        ):
            if value:
                count(metric, value)
        if self._lag_ms is not None:
            count(Metric.OUTBOX_LAG, self._lag_ms, MetricUnit.Milliseconds)
        write_metrics()
        self._recent, self._lag_ms, self.written_at = Counts(), None, now

    def write_if_due(self, now: float) -> None:
        if now - self.written_at >= WRITE_EVERY_SECONDS:
            self.write(now)

    def summary(self) -> dict[str, int]:
        return asdict(self.total)


class Relay:
    """One run. Several at once, in as many processes, are safe."""

    def __init__(self, outbox: Outbox, publisher: Publisher, senders: Executor, clock: Clock = time) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._senders = senders
        self._clock = clock
        self._in_flight: dict[Future[list[Outcome]], int] = {}
        self._unsettled: list[Outcome] = []
        self._tally = Tally(clock.monotonic())

    def run(self, window_seconds: float, remaining_seconds: Callable[[], float]) -> dict[str, int]:
        """Relays until the window is over or the function's remaining time is nearly so, and then finishes what it
        has claimed. Returns counts: published, retried, dead.

        A database that cannot be reached is waited for: the next run may be a minute away.

        Raises:
            DatabaseUnavailable: events were sent that could not be marked; they will be sent again.
        """
        end = self._clock.monotonic() + window_seconds
        pause = SHORTEST_PAUSE_SECONDS
        try:
            while self._clock.monotonic() < end and remaining_seconds() > SAFETY_MARGIN_SECONDS:
                pause = self._turn(pause)
                self._tally.write_if_due(self._clock.monotonic())
                if pause:
                    self._clock.sleep(pause)
        finally:
            self._finish()
            self._tally.write(self._clock.monotonic())
        return self._tally.summary()

    def _turn(self, last_pause: float) -> float:
        """Claims, sends and marks once; returns how long to wait before the next turn."""
        try:
            limit = min(CLAIM_LIMIT, MAX_IN_FLIGHT - sum(self._in_flight.values()))
            claimed = self._outbox.claim(limit) if limit else []
            self._send_urgent_first(claimed)
            self._collect(COLLECT_SECONDS)
            settled = self._settle()
        except DatabaseUnavailable:
            logger.warning("The outbox cannot be reached", exc_info=True)
            return LONGEST_PAUSE_IN_OUTAGE_SECONDS

        longer = max(2 * last_pause, SHORTEST_PAUSE_SECONDS)
        if settled.retried and not settled.published:
            return min(longer, LONGEST_PAUSE_IN_OUTAGE_SECONDS)
        if claimed:
            return 0 if len(claimed) >= FULL_CLAIM else SHORTEST_PAUSE_SECONDS
        return min(longer, LONGEST_PAUSE_SECONDS)

    def _send_urgent_first(self, claimed: Sequence[ClaimedEvent]) -> None:
        urgent = [event for event in claimed if event.priority is Priority.HIGH]
        others = [event for event in claimed if event.priority is not Priority.HIGH]
        sent = self._send(urgent)
        if others:
            # Batches that leave at once arrive in any order: urgent ones get a head start of one call.
            wait(sent, COLLECT_SECONDS)
            self._send(others)

    def _send(self, claimed: Sequence[ClaimedEvent]) -> list[Future[list[Outcome]]]:
        composed = [compose(event) for event in claimed]
        self._unsettled += [refused for refused in composed if isinstance(refused, EventRefused)]
        sent = {
            self._senders.submit(self._publisher.send, batch): len(batch.messages)
            for batch in pack(message for message in composed if isinstance(message, QueueMessage))
        }
        self._in_flight |= sent
        return list(sent)

    def _collect(self, timeout: float | None) -> None:
        """Takes over the outcomes that are there when all are, or when the time (seconds, None: no limit) is up."""
        if not self._in_flight:
            return
        for future in wait(self._in_flight, timeout).done:
            del self._in_flight[future]
            self._unsettled += future.result()

    def _settle(self) -> Counts:
        """Records the outcomes collected so far. If that fails they are kept, and recorded the next time."""
        published = [outcome.event for outcome in self._unsettled if isinstance(outcome, Published)]
        failures = [outcome for outcome in self._unsettled if isinstance(outcome, EventRefused | Undelivered)]
        dead = [failure for failure in failures if outcomes.is_dead(failure)]
        retried = [failure for failure in failures if not outcomes.is_dead(failure)]

        lag_ms = self._outbox.mark_published(published) if published else None
        if retried:
            self._outbox.back_off([_back_off(failure) for failure in retried])
        if dead:
            self._outbox.bury([Burial(failure.event, failure.error) for failure in dead])
        self._unsettled = []

        for failure in dead:
            _log_dead(failure)
        counts = Counts(len(published), len(retried), len(dead))
        self._tally.add(counts, lag_ms)
        return counts

    def _finish(self) -> None:
        self._collect(timeout=None)
        self._settle()


def _back_off(failure: Failure) -> BackOff:
    refusals = failure.event.refusals + isinstance(failure, EventRefused)
    return BackOff(failure.event, outcomes.backoff_seconds(failure.event.attempts), refusals, failure.error)


def _log_dead(failure: Failure) -> None:
    logger.error(
        "Outbox event is dead",
        event_id=str(failure.event.id),
        event_type=failure.event.type,
        order_id=str(failure.event.subject),
        correlation_id=failure.event.correlation_id,
        trace_id=trace_id(failure.event.traceparent),
        attempts=failure.event.attempts,
        error=failure.error,
    )
