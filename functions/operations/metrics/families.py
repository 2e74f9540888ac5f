"""The metrics under the names that are served, from what was read. docs/metrics.md says what each means."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Any, Final, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from sqlalchemy import Row

from functions.operations.health import CircuitState, circuit_state
from functions.operations.metrics import request_durations
from functions.operations.queues.queue_operations import QueueState
from orders import counters
from orders.counters import Count, Counter
from orders.domain import COMPENSATIONS, OrderStatus, RefundStatus
from orders.events import CONSUMER_OF, Queue

ENDS: Final = (OrderStatus.CONFIRMED, OrderStatus.CANCELLED, OrderStatus.NEEDS_REVIEW)
_QUEUE_OF: Final[Mapping[str, Queue]] = {consumer: queue for queue, consumer in CONSUMER_OF.items()}


@dataclass(frozen=True)
class Scrape:
    """What was read for one scrape."""

    counts: Sequence[Count]
    look: Row[Any]
    """The row of `health.LOOK`."""
    queues: Sequence[QueueState] | None
    """None: SQS did not answer."""
    requests_are_known: bool
    """CloudWatch answered, if it was asked."""

    def collect(self) -> Iterator[Metric]:
        """As Prometheus's registry wants it."""
        yield from self._counted()
        yield from self._queues()
        yield from self._now()

    def _of(self, counter: Counter) -> list[Count]:
        return [count for count in self.counts if count.counter == counter]

    def _counted(self) -> Iterator[Metric]:
        orders = self._of(Counter.ORDERS_PROCESSED)
        yield _counter(
            "orders_processed", "Orders by the status that they ended in", "status", _totals(orders, ENDS)
        )
        durations = HistogramMetricFamily(
            "order_processing_duration_seconds",
            "From an order's placing to its end",
            labels=["status"],
            unit="seconds",
        )
        for status in ENDS:
            _add_histogram(durations, [status], orders, status, counters.BOUNDS)
        yield durations

        jobs = [
            Count(job.counter, _QUEUE_OF.get(job.label, job.label), job.bucket, job.events, job.seconds)
            for job in self._of(Counter.QUEUE_JOBS_COMPLETED)
        ]
        yield _counter("queue_jobs_completed", "Messages worked on", "queue", _totals(jobs, Queue))
        compensations = _totals(self._of(Counter.SAGA_COMPENSATIONS), COMPENSATIONS)
        yield _counter("saga_compensations", "Compensations that were completed", "step", compensations)

        requests = self._of(Counter.HTTP_REQUEST_DURATION)
        by_route = HistogramMetricFamily(
            "http_request_duration_seconds",
            "Time that a function took for a request",
            labels=["route", "method"],
            unit="seconds",
        )
        for label in sorted({request.label for request in requests}):
            method, _, route = label.partition(" ")
            _add_histogram(by_route, [route, method], requests, label, (*request_durations.BOUNDS, inf))
        yield by_route

    def _queues(self) -> Iterator[Metric]:
        lengths = GaugeMetricFamily(
            "queue_length", "Messages that wait or are worked on, as SQS counts them", labels=["queue"]
        )
        dead = GaugeMetricFamily("dead_letters", "Messages in the dead-letter queue", labels=["queue"])
        for state in self.queues or ():
            queue, letters = state.queue, state.dlq
            lengths.add_metric([state.name], queue.visible + queue.in_flight + queue.delayed)
            dead.add_metric([state.name], letters.visible + letters.in_flight + letters.delayed)
        yield lengths
        yield dead

    def _now(self) -> Iterator[Metric]:
        look = self.look
        yield GaugeMetricFamily(
            "outbox_lag_seconds",
            "How long the oldest event that is due waits for its publication",
            look.lag_seconds,
            unit="seconds",
        )
        yield GaugeMetricFamily("outbox_events_due", "Events that are due and not published", look.pending)
        yield GaugeMetricFamily("outbox_events_dead", "Events that could not be published", look.dead)
        yield _gauge(
            "orders_open",
            "Orders that have not ended",
            "status",
            {
                OrderStatus.PENDING: look.orders_pending,
                OrderStatus.PROCESSING: look.orders_processing,
                OrderStatus.NEEDS_REVIEW: look.in_review,
            },
        )
        yield _gauge(
            "refunds_open",
            "Refunds that have not ended",
            "status",
            {
                RefundStatus.REQUESTED: look.refunds_requested,
                RefundStatus.NEEDS_REVIEW: look.refunds_in_review,
            },
        )
        yield GaugeMetricFamily(
            "payments_unknown", "Payments whose outcome nobody knows yet", look.payments_unknown
        )
        state = circuit_state(look)
        yield StateSetMetricFamily(
            "payment_circuit_breaker",
            "The circuit of the payment gateway",
            {each: each == state for each in get_args(CircuitState)},
        )
        yield _gauge(
            "scrape_source_up",
            "Whether a source was read for this scrape",
            "source",
            {"sqs": int(self.queues is not None), "cloudwatch": int(self.requests_are_known)},
        )


def _counter(name: str, meaning: str, label: str, totals: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=[label])
    for value, total in totals.items():
        family.add_metric([value], total)
    return family


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _totals(counts: Iterable[Count], known: Iterable[str]) -> dict[str, int]:
    """Events by label; also of each known label that has none, so that its first event is an increase."""
    totals = defaultdict(int, {str(label): 0 for label in known})
    for count in counts:
        totals[count.label] += count.events
    return totals


def _add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    counts: Iterable[Count],
    label: str,
    bounds: Sequence[float],
) -> None:
    mine = [count for count in counts if count.label == label]
    # By the first bound that holds it: the bounds may have changed since it was counted.
    events = dict.fromkeys(bounds, 0)
    for count in mine:
        events[min(bound for bound in bounds if bound >= count.bucket)] += count.events
    cumulative = zip(bounds, accumulate(events.values()), strict=True)
    family.add_metric(
        [str(value) for value in labels],
        [("+Inf" if bound == inf else str(bound), number) for bound, number in cumulative],
        sum(count.seconds for count in mine),
    )
