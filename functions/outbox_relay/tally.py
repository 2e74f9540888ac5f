"""What a run of the relay did, as metrics and as one log line."""

from dataclasses import asdict, dataclass, field
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

from orders.contract import Metric
from orders.observability import count, write_metrics

WRITE_EVERY_SECONDS: Final = 10
"""A run lasts a minute: metrics of its start are too old at its end, and one line for each poll is too many."""


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
