"""How old the oldest message of each queue is. SQS tells it to CloudWatch only, once a minute."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orders import aws
from orders.aws import sdk_calls
from orders.errors import ServiceUnavailable
from orders.events import Queue
from orders.observability import logger

KEPT_SECONDS: Final = 60.0
"""No newer figure comes before, and each one that is asked for costs money."""

_READ_TIMEOUT_SECONDS: Final = 1
_ATTEMPTS: Final = 1
_PERIOD_SECONDS: Final = 60
# A figure may be some minutes late.
_LOOK_BACK: Final = timedelta(minutes=10)


def connect() -> Any:
    """A client of CloudWatch. Nobody waits for it: the ages are told with the next look then."""
    return aws.connect("cloudwatch", read_timeout_seconds=_READ_TIMEOUT_SECONDS, attempts=_ATTEMPTS)


class MessageAges:
    """The ages of one stage's queues, as CloudWatch had them at most a minute ago."""

    def __init__(
        self, client: Any, queue_urls: Mapping[Queue, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._names = {queue: url.rpartition("/")[2] for queue, url in queue_urls.items()}
        self._clock = clock
        self._kept: tuple[float, Mapping[Queue, int]] | None = None

    def read(self) -> Mapping[Queue, int]:
        """Seconds by queue. A queue is missing if CloudWatch has no figure of it, all are if it does not respond."""
        if self._kept is None or self._clock() >= self._kept[0] + KEPT_SECONDS:
            self._kept = self._clock(), self._ask()
        return self._kept[1]

    def _ask(self) -> Mapping[Queue, int]:
        now = datetime.now(UTC)
        queues = {f"q{number}": queue for number, queue in enumerate(self._names)}
        queries = [
            {
                "Id": id,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SQS",
                        "MetricName": "ApproximateAgeOfOldestMessage",
                        "Dimensions": [{"Name": "QueueName", "Value": self._names[queue]}],
                    },
                    "Period": _PERIOD_SECONDS,
                    "Stat": "Maximum",
                },
            }
            for id, queue in queues.items()
        ]
        try:
            with sdk_calls("CloudWatch"):
                found = self._client.get_metric_data(
                    MetricDataQueries=queries,
                    StartTime=now - _LOOK_BACK,
                    EndTime=now,
                    ScanBy="TimestampDescending",
                )
        except ServiceUnavailable:
            logger.warning("CloudWatch does not tell how old messages are", exc_info=True)
            return {}
        return {
            queues[result["Id"]]: round(result["Values"][0])
            for result in found["MetricDataResults"]
            if result["Values"]
        }
