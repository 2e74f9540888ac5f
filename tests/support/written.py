"""What a function writes: log lines and metrics, as CloudWatch would get them."""

import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from orders.observability import logger, metrics


class Written:
    """Everything written while it was recorded."""

    def __init__(self) -> None:
        self._logs = io.StringIO()
        self._metrics = io.StringIO()

    @property
    def text(self) -> str:
        """All of it, to look for what should not be there."""
        return self._logs.getvalue() + self._metrics.getvalue()

    def logs(self, message: str) -> list[dict[str, Any]]:
        """The log lines with this message."""
        lines = [json.loads(line) for line in self._logs.getvalue().splitlines()]
        return [line for line in lines if line["message"] == message]

    @property
    def log_lines(self) -> int:
        return len(self._logs.getvalue().splitlines())

    @property
    def metric_lines(self) -> list[dict[str, list[float]]]:
        """Each metric line's values by name."""
        lines = [json.loads(line) for line in self._metrics.getvalue().splitlines()]
        return [
            {
                metric["Name"]: line[metric["Name"]]
                for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
            }
            for line in lines
        ]

    @property
    def metrics(self) -> dict[str, float]:
        """The sum of each metric over all lines."""
        sums: defaultdict[str, float] = defaultdict(float)
        for line in self.metric_lines:
            for name, values in line.items():
                sums[name] += sum(values)
        return dict(sums)

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        handler = logger.registered_handler
        assert handler is not None
        original = handler.setStream(self._logs)  # type: ignore[attr-defined]
        try:
            # Metrics are printed.
            with contextlib.redirect_stdout(self._metrics):
                yield
        finally:
            handler.setStream(original)  # type: ignore[attr-defined]


@contextlib.contextmanager
def recorded() -> Iterator[Written]:
    """Records what is written inside the block. Metrics are written by a handler, or by `write_metrics`."""
    # What earlier tests counted and never wrote is none of this one's.
    metrics.clear_metrics()
    written = Written()
    with written._recording():
        yield written
