"""How long requests took, taken over from CloudWatch: every function writes it there (EMF), which costs a request no
statement.

CloudWatch gives sums of a time, Prometheus wants sums since ever. So each five minutes that are complete are added to
our counters once, under a mark of how far that has come.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from sqlalchemy import text

from orders import aws
from orders.aws import sdk_calls
from orders.contract import METRICS_NAMESPACE, Metric
from orders.counters import ADD, Counter
from orders.db import Database

READ_TIMEOUT_SECONDS: Final = 5
ATTEMPTS: Final = 2

BOUNDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the histogram's upper bounds. API Gateway gives up after 30."""

_PERIOD_SECONDS: Final = 300
_QUERIES_PER_CALL: Final = 500
"""What GetMetricData takes."""
_RECENTLY: Final = timedelta(hours=3)
"""What ListMetrics calls recently active."""
_STATISTICS: Final = ("SampleCount", "Sum", *(f"TC(:{1000 * bound:g})" for bound in BOUNDS))
"""TC(:x) is how many values are at most x."""

# A day at most at once. What was written in the last five minutes may not be in CloudWatch yet.
_DUE: Final = text(f"""
    SELECT counted_until AS since,
           least(date_bin('{_PERIOD_SECONDS} s', now() - interval '{_PERIOD_SECONDS} s', '2000-01-01'),
                 counted_until + interval '1 day') AS until,
           now() AS now
    FROM counter_sources WHERE name = 'http_requests'
""")

# Only from the mark that was seen: whoever has moved it since has added the same.
_TAKE_OVER: Final = text(f"""
    WITH moved AS (
        UPDATE counter_sources SET counted_until = :until
        WHERE name = 'http_requests' AND counted_until = :since
        RETURNING name
    )
    INSERT INTO counters (counter, label, bucket, events, seconds)
    SELECT '{Counter.HTTP_REQUEST_DURATION}', label, bucket, sum(events), sum(seconds)
    FROM moved, unnest(CAST(:labels AS text[]), CAST(:buckets AS float8[]), CAST(:events AS bigint[]),
                       CAST(:seconds AS float8[])) AS found (label, bucket, events, seconds)
    GROUP BY label, bucket
    ORDER BY label, bucket
    {ADD}
""")


def connect() -> Any:
    """A client of CloudWatch."""
    return aws.connect("cloudwatch", read_timeout_seconds=READ_TIMEOUT_SECONDS, attempts=ATTEMPTS)


@dataclass(frozen=True)
class _Bucket:
    label: str
    bucket: float
    events: int
    seconds: float


class RequestDurations:
    """The durations of one stage's requests."""

    def __init__(self, client: Any, stage: str) -> None:
        self._client = client
        self._services = f"orders-{stage}-"

    def take_over(self, database: Database) -> None:
        """Adds to the counters what CloudWatch has more of, if five minutes more are complete.

        Raises:
            ServiceUnavailable: CloudWatch does not answer. Nothing is lost: the next call takes over all of it.
        """
        due = database.transact_alone(lambda connection: connection.execute(_DUE).one())
        if due.until <= due.since:
            return
        is_recent = due.now - due.since < _RECENTLY - timedelta(minutes=10)
        buckets = [*self._read(due.since, due.until, is_recent=is_recent)]
        parameters = {
            "since": due.since,
            "until": due.until,
            "labels": [one.label for one in buckets],
            "buckets": [one.bucket for one in buckets],
            "events": [one.events for one in buckets],
            "seconds": [one.seconds for one in buckets],
        }
        database.transact_alone(lambda connection: connection.execute(_TAKE_OVER, parameters))

    def _read(self, since: datetime, until: datetime, *, is_recent: bool) -> Iterator[_Bucket]:
        routes = [*self._routes(is_recent=is_recent)]
        queries = [
            {
                "Id": f"q{number}_{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": METRICS_NAMESPACE,
                        "MetricName": Metric.REQUEST_DURATION,
                        "Dimensions": route,
                    },
                    "Period": _PERIOD_SECONDS,
                    "Stat": statistic,
                },
            }
            for number, route in enumerate(routes)
            for index, statistic in enumerate(_STATISTICS)
        ]
        sums: defaultdict[str, float] = defaultdict(float)
        for start in range(0, len(queries), _QUERIES_PER_CALL):
            batch = queries[start : start + _QUERIES_PER_CALL]
            for result in self._results(batch, since, until):
                sums[result["Id"]] += sum(result["Values"])
        for number, route in enumerate(routes):
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in route}
            label = f"{dimensions['method']} {dimensions['route']}"
            yield from _buckets(label, [sums[f"q{number}_{index}"] for index in range(len(_STATISTICS))])

    def _routes(self, *, is_recent: bool) -> Iterator[Sequence[Mapping[str, str]]]:
        """The dimensions of each route that was asked lately; of each of two weeks, if that is not recent enough."""
        request: dict[str, Any] = {"Namespace": METRICS_NAMESPACE, "MetricName": Metric.REQUEST_DURATION}
        if is_recent:
            request["RecentlyActive"] = "PT3H"
        for page in self._pages(self._client.list_metrics, request):
            for metric in page["Metrics"]:
                services = [one["Value"] for one in metric["Dimensions"] if one["Name"] == "service"]
                if services and services[0].startswith(self._services):
                    yield metric["Dimensions"]

    def _results(
        self, queries: Sequence[Mapping[str, Any]], since: datetime, until: datetime
    ) -> Iterator[Mapping[str, Any]]:
        request = {"MetricDataQueries": queries, "StartTime": since, "EndTime": until}
        for page in self._pages(self._client.get_metric_data, request):
            yield from page["MetricDataResults"]

    def _pages(self, call: Any, request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        while True:
            with sdk_calls("CloudWatch"):
                page = call(**request, **token)
            yield page
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}


def _buckets(label: str, statistics: Sequence[float]) -> Iterable[_Bucket]:
    """A route's histogram. CloudWatch knows the sum of all of them, which is therefore the last bucket's."""
    number, milliseconds, *up_to = statistics
    if not number:
        return
    before = 0.0
    for bound, cumulative in zip(BOUNDS, up_to, strict=True):
        if cumulative > before:
            yield _Bucket(label, bound, round(cumulative - before), 0)
            before = cumulative
    yield _Bucket(label, inf, round(max(number - before, 0)), milliseconds / 1000)
