"""`/metrics` says what the database, the queues and CloudWatch know: the same whichever process is asked."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from functions.operations import dependencies
from functions.operations.metrics.request_durations import RequestDurations
from orders import counters, inbox
from orders.db import Database
from orders.domain import COMPENSATIONS
from orders.events import Consumer, Queue
from orders.ids import uuid7
from orders.observability import record_request
from tests.integration.operations.support import HANDLER, Operations, SilentSqs
from tests.support.api import Client, lambda_context
from tests.support.factories import add_order, execute, rows
from tests.support.named_tests import ROOT
from tools.http_event import http_event

METRICS = "/api/v1/metrics"
ORDERS = {"method": "POST", "route": "/api/v1/orders"}

NAMES = {
    "orders_processed": "counter",
    "order_processing_duration_seconds": "histogram",
    "queue_length": "gauge",
    "queue_jobs_completed": "counter",
    "http_request_duration_seconds": "histogram",
    "outbox_lag_seconds": "gauge",
    "outbox_events_due": "gauge",
    "outbox_events_dead": "gauge",
    "dead_letters": "gauge",
    "orders_open": "gauge",
    "refunds_open": "gauge",
    "payments_unknown": "gauge",
    "payment_circuit_breaker": "stateset",
    "saga_compensations": "counter",
    "scrape_source_up": "gauge",
}


@dataclass
class FakeCloudWatch:
    """CloudWatch with what functions have recorded, and as many pages as there are results."""

    recorded: list[tuple[dict[str, str], datetime, float]] = field(default_factory=list)
    """Dimensions, time and milliseconds."""
    is_silent: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)

    def record(self, milliseconds: float, *, at: datetime, **dimensions: str) -> None:
        self.recorded.append(({"service": "orders-test-create-order", **dimensions}, at, milliseconds))

    def list_metrics(self, **request: Any) -> Any:
        self._refuse_if_silent()
        self.calls.append(request)
        routes = {tuple(sorted(dimensions.items())) for dimensions, _, _ in self.recorded}
        return {
            "Metrics": [
                {"Dimensions": [{"Name": name, "Value": value} for name, value in route]}
                for route in sorted(routes)
            ]
        }

    def get_metric_data(self, **request: Any) -> Any:
        self._refuse_if_silent()
        self.calls.append(request)
        page = int(request.get("NextToken", 0))
        queries = request["MetricDataQueries"]
        query = queries[page]["MetricStat"]
        wanted = {one["Name"]: one["Value"] for one in query["Metric"]["Dimensions"]}
        values = [
            milliseconds
            for dimensions, at, milliseconds in self.recorded
            if dimensions == wanted and request["StartTime"] <= at < request["EndTime"]
        ]
        result = {"Id": queries[page]["Id"], "Values": [_statistic(query["Stat"], values)] if values else []}
        is_last = page + 1 == len(queries)
        return {"MetricDataResults": [result], **({} if is_last else {"NextToken": str(page + 1)})}

    def _refuse_if_silent(self) -> None:
        if self.is_silent:
            raise ClientError({"Error": {"Code": "InternalFailure", "Message": ""}}, "GetMetricData")


def _statistic(name: str, values: list[float]) -> float:
    if at_most := re.fullmatch(r"TC\(:([\d.]+)\)", name):
        return sum(value <= float(at_most[1]) for value in values)
    return {"SampleCount": len(values), "Sum": sum(values)}[name]


@pytest.fixture
def cloudwatch(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> FakeCloudWatch:
    cloudwatch = FakeCloudWatch()
    durations = RequestDurations(cloudwatch, "test")
    monkeypatch.setattr(dependencies, "request_durations", lambda: durations)
    return cloudwatch


@pytest.fixture
def families(operations: Operations, cloudwatch: FakeCloudWatch) -> Callable[[], dict[str, Metric]]:
    """A scrape, as Prometheus understands it."""

    def scrape() -> dict[str, Metric]:
        answer = operations.admin.get(METRICS)
        assert answer.status == 200, answer.text
        assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        parsed = text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        return {family.name: family for family in parsed}

    return scrape


Scrape = Callable[[], dict[str, Metric]]


def samples(family: Metric, suffix: str = "") -> dict[str, float]:
    """The values by their labels' values, in the order of the labels' names; a bucket's bound comes last."""
    found: dict[str, float] = defaultdict(float)
    for sample in family.samples:
        if sample.name == family.name + suffix:
            labels = sorted(sample.labels.items(), key=lambda label: (label[0] == "le", label[0]))
            found[" ".join(value for _, value in labels)] += sample.value
    return dict(found)


def end(database: Database, status: str, seconds: float) -> None:
    order_id = add_order(database)
    execute(
        database,
        "UPDATE orders SET created_at = now() - make_interval(secs => :seconds) WHERE id = :id",
        id=order_id,
        seconds=seconds,
    )
    for next_status in ("PROCESSING", status):
        execute(database, "UPDATE orders SET status = :s WHERE id = :id", id=order_id, s=next_status)


def five_minutes_complete(database: Database, number: int = 1) -> datetime:
    """Lets so many times five minutes be due; returns when they began."""
    execute(
        database,
        "UPDATE counter_sources SET counted_until = "
        "date_bin('5 minutes', now() - interval '5 minutes', '2000-01-01') - make_interval(mins => :minutes)",
        minutes=5 * number,
    )
    (row,) = rows(database, "SELECT counted_until FROM counter_sources")
    began: datetime = row["counted_until"]
    return began


def test_every_name_is_served_with_its_type_also_before_anything_has_happened(families: Scrape) -> None:
    served = families()

    assert {name: family.type for name, family in served.items()} == NAMES
    assert samples(served["orders_processed"], "_total") == {
        "CONFIRMED": 0,
        "CANCELLED": 0,
        "NEEDS_REVIEW": 0,
    }
    assert samples(served["queue_jobs_completed"], "_total") == dict.fromkeys(map(str, Queue), 0)
    assert samples(served["queue_length"]) == dict.fromkeys(map(str, Queue), 0)
    assert samples(served["saga_compensations"], "_total") == dict.fromkeys(map(str, COMPENSATIONS), 0)
    assert samples(served["payment_circuit_breaker"]) == {"CLOSED": 1, "OPEN": 0, "PROBING": 0}
    assert samples(served["scrape_source_up"]) == {"sqs": 1, "cloudwatch": 1}


def test_a_hundred_orders_move_each_counter_by_the_right_amount(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    database = operations.database
    began = five_minutes_complete(database)
    before = families()
    began = five_minutes_complete(database)
    for number in range(100):
        is_declined = number % 10 == 0
        order_id = add_order(database)
        for status in ("PROCESSING", "CANCELLED" if is_declined else "CONFIRMED"):
            execute(database, "UPDATE orders SET status = :s WHERE id = :id", id=order_id, s=status)
        counters.count_jobs(database, Queue.ORDER_PROCESSING)
        database.transact(lambda connection: inbox.record(connection, Consumer.NOTIFY, uuid7()))
        if is_declined:
            execute(
                database,
                "INSERT INTO saga_steps (order_id, step, status) VALUES (:id, 'RefundPayment', 'SUCCEEDED')",
                id=order_id,
            )
        cloudwatch.record(30 if number < 80 else 700, at=began + timedelta(seconds=number), **ORDERS)
    after = families()

    def moved(name: str, suffix: str = "_total") -> dict[str, float]:
        earlier = samples(before[name], suffix)
        return {
            label: value - earlier.get(label, 0)
            for label, value in samples(after[name], suffix).items()
            if value != earlier.get(label, 0)
        }

    assert moved("orders_processed") == {"CONFIRMED": 90, "CANCELLED": 10}
    assert moved("order_processing_duration_seconds", "_count") == {"CONFIRMED": 90, "CANCELLED": 10}
    assert moved("queue_jobs_completed") == {"order-processing": 100, "notification-sending": 100}
    assert moved("saga_compensations") == {"RefundPayment": 10}
    assert moved("http_request_duration_seconds", "_count") == {"POST /api/v1/orders": 100}
    assert moved("http_request_duration_seconds", "_sum") == {"POST /api/v1/orders": 80 * 0.03 + 20 * 0.7}


def test_a_histogram_is_cumulative(operations: Operations, families: Scrape) -> None:
    for seconds in (0.1, 4, 4, 40):
        end(operations.database, "CONFIRMED", seconds)

    buckets = samples(families()["order_processing_duration_seconds"], "_bucket")
    assert [buckets[f"CONFIRMED {bound}"] for bound in ("0.5", "2.5", "5.0", "30.0", "60.0", "+Inf")] == [
        1,
        1,
        3,
        3,
        4,
        4,
    ]


def test_two_scrapes_say_the_same_and_the_first_folds(operations: Operations, families: Scrape) -> None:
    end(operations.database, "CONFIRMED", 1)
    first = families()

    assert rows(operations.database, "SELECT * FROM counted") == []
    assert samples(families()["orders_processed"], "_total") == samples(first["orders_processed"], "_total")


def test_what_cloudwatch_has_is_taken_over_once(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, **ORDERS)
    cloudwatch.record(30, at=began, **ORDERS)
    cloudwatch.record(9_000, at=began + timedelta(minutes=4), **ORDERS)
    # The next five minutes are not complete.
    cloudwatch.record(30, at=began + timedelta(minutes=5), **ORDERS)

    for _ in range(2):
        buckets = samples(families()["http_request_duration_seconds"], "_bucket")
        assert [buckets[f"POST /api/v1/orders {bound}"] for bound in ("0.025", "0.05", "5.0", "+Inf")] == [
            0,
            2,
            2,
            3,
        ]
    # One list and its statistics; the second scrape asks nothing.
    assert sum("MetricDataQueries" not in call for call in cloudwatch.calls) == 1


def test_of_two_scrapes_at_once_one_takes_over(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, **ORDERS)
    ask = cloudwatch.list_metrics

    def meanwhile(**request: Any) -> Any:
        monkeypatch.setattr(cloudwatch, "list_metrics", ask)
        RequestDurations(cloudwatch, "test").take_over(operations.database)
        return ask(**request)

    monkeypatch.setattr(cloudwatch, "list_metrics", meanwhile)

    assert samples(families()["http_request_duration_seconds"], "_count") == {"POST /api/v1/orders": 1}


def test_another_stage_of_the_account_is_not_counted(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, service="orders-prod-create-order", **ORDERS)

    assert samples(families()["http_request_duration_seconds"], "_count") == {}


@pytest.mark.parametrize(("periods", "is_recent"), [(1, True), (12 * 24 * 3, False)])
def test_after_a_long_time_without_scrapes_all_routes_are_asked_for(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape, periods: int, is_recent: bool
) -> None:
    began = five_minutes_complete(operations.database, periods)
    cloudwatch.record(30, at=began, **ORDERS)

    assert samples(families()["http_request_duration_seconds"], "_count") == {"POST /api/v1/orders": 1}
    assert ("RecentlyActive" in cloudwatch.calls[0]) is is_recent


def test_cloudwatch_that_does_not_answer_costs_its_own_metrics_and_loses_nothing(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, **ORDERS)
    cloudwatch.is_silent = True
    served = families()
    assert samples(served["scrape_source_up"]) == {"sqs": 1, "cloudwatch": 0}
    assert set(served) == set(NAMES)

    cloudwatch.is_silent = False
    assert samples(families()["http_request_duration_seconds"], "_count") == {"POST /api/v1/orders": 1}


def test_sqs_that_does_not_answer_costs_its_own_metrics(operations: Operations, families: Scrape) -> None:
    operations.talk_to(SilentSqs())

    served = families()
    assert samples(served["queue_length"]) == {}
    assert samples(served["scrape_source_up"])["sqs"] == 0
    assert samples(served["outbox_lag_seconds"]) == {"": 0}


def test_what_is_now_is_read_from_where_it_stands(operations: Operations, families: Scrape) -> None:
    database = operations.database
    order_id = add_order(database)
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency) "
        "VALUES (:id, 'key', 'UNKNOWN', 100, 'USD')",
        id=order_id,
    )
    execute(database, "UPDATE outbox SET available_at = now() - interval '5 minutes'")
    execute(
        database,
        "INSERT INTO circuit_breakers (name, failures, open_until) "
        "VALUES ('payment-gateway', 5, now() + interval '1 minute')",
    )
    operations.bury(Queue.ORDER_PROCESSING, "poison")
    operations.sqs.send_message(QueueUrl=operations.queue_urls[Queue.WEBHOOK_DELIVERY], MessageBody="one")

    served = families()
    assert samples(served["payments_unknown"]) == {"": 1}
    assert samples(served["orders_open"])["PENDING"] == 1
    assert samples(served["outbox_events_due"]) == {"": 1}
    assert 300 <= samples(served["outbox_lag_seconds"])[""] < 400
    assert samples(served["payment_circuit_breaker"]) == {"CLOSED": 0, "OPEN": 1, "PROBING": 0}
    assert samples(served["dead_letters"])["order-processing"] == 1
    assert samples(served["queue_length"])["webhook-delivery"] == 1


def test_a_customer_gets_no_metrics(operations: Operations) -> None:
    assert Client(HANDLER, user_id="carl").get(METRICS).status == 403


def test_a_request_is_recorded_by_its_route_and_not_by_its_address(
    operations: Operations, capsys: pytest.CaptureFixture[str]
) -> None:
    event = http_event("GET", "/api/v1/admin/suppressed-addresses/ann@example.com", groups="[admin]")
    event["routeKey"] = "GET /api/v1/admin/suppressed-addresses/{address}"
    operations.admin.handler(event, lambda_context(remaining_ms=30_000))

    (line,) = [line for line in capsys.readouterr().out.splitlines() if "RequestDuration" in line]
    written = json.loads(line)
    assert (written["method"], written["route"]) == ("GET", "/api/v1/admin/suppressed-addresses/{address}")
    assert written["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [
        {"Name": "RequestDuration", "Unit": "Milliseconds"}
    ]
    assert set(*written["_aws"]["CloudWatchMetrics"][0]["Dimensions"]) == {"service", "method", "route"}
    assert 0 < written["RequestDuration"][0] < 30_000


def test_a_request_without_a_route_is_not_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    record_request("$default", 12)

    assert capsys.readouterr().out == ""


PAGE = ROOT / "docs" / "metrics.md"
DASHBOARD = ROOT / "docs" / "grafana-dashboard.json"


def on_the_page() -> dict[str, tuple[str, set[str]]]:
    """Type and labels by name, as the page's table has them."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            name, kind, labels, *_ = [cell.strip() for cell in line.strip("|").split("|")]
            found[name.strip("`")] = (kind, set(re.findall(r"`(\w+)`", labels)))
    return found


def test_the_page_tells_of_every_metric_with_its_type_and_labels(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, **ORDERS)

    served = {
        name + ("_total" if family.type == "counter" else ""): (
            family.type,
            set().union(*(sample.labels for sample in family.samples)) - {"le", name},
        )
        for name, family in families().items()
    }
    assert on_the_page() == served


def test_the_dashboard_asks_for_metrics_that_are_served_and_for_every_one_of_them(
    operations: Operations, cloudwatch: FakeCloudWatch, families: Scrape
) -> None:
    began = five_minutes_complete(operations.database)
    cloudwatch.record(30, at=began, **ORDERS)
    served = {sample.name: name for name, family in families().items() for sample in family.samples}
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = {
        word
        for panel in panels
        for target in panel["targets"]
        for word in re.findall(r"\b[a-z]+_[a-z_]+\b(?=[\[{) ]|$)", target["expr"])
    } - {"histogram_quantile"}

    assert asked - served.keys() == set()
    assert {served[name] for name in asked} == set(NAMES)
