"""An order's log lines, from the logs of all functions, in the order of time: its own, and nobody else's."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError

from functions.operations import dependencies
from functions.operations.logs import reader
from functions.operations.logs.reader import FunctionLogs, windows_around
from tests.integration.operations.support import ADMIN, Operations
from tests.support.api import Answer, every_page
from tests.support.factories import EMAIL, PHONE, TRACE, add_order

PREFIX = "/aws/lambda/orders-test-"


class NotThere(ClientError):
    """The group does not exist."""


@dataclass
class FakeLogs:
    """CloudWatch Logs as far as it is asked. It knows no pattern, as the emulator does not know all."""

    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page: int = 1_000
    refusing: set[str] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def exceptions(self) -> Any:
        return type("Exceptions", (), {"ResourceNotFoundException": NotThere})

    def filter_log_events(self, **request: Any) -> Any:
        self.asked.append(request)
        function = request["logGroupName"].removeprefix(PREFIX)
        if function in self.refusing:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, "FilterLogEvents")
        if function not in self.lines:
            raise NotThere(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "x"}}, "FilterLogEvents"
            )
        start = int(request.get("nextToken", "0"))
        found = [
            event
            for event in self.lines[function]
            if request["startTime"] <= event["timestamp"] <= request["endTime"]
        ]
        page: dict[str, Any] = {"events": found[start : start + self.page]}
        return page | ({"nextToken": str(start + self.page)} if start + self.page < len(found) else {})

    def write(self, function: str, message: str, *, at: float = 0, **fields: Any) -> None:
        """A line that was written `at` seconds from now, and arrived at the end of its invocation."""
        moment = self.now + timedelta(seconds=at)
        line = {
            "level": "INFO",
            "location": "handler:42",
            "message": message,
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "service": "orders-test-" + function,
            "cold_start": True,
            "function_arn": "arn",
            **fields,
        }
        self.tell(function, json.dumps(line), at + 0.5)

    def tell(self, function: str, text: str, at: float = 0) -> None:
        arrived = int(1000 * (self.now + timedelta(seconds=at)).timestamp())
        self.lines.setdefault(function, []).append({"timestamp": arrived, "message": text})


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> FakeLogs:
    fake = FakeLogs()
    logs = FunctionLogs(fake, PREFIX, ["create-order", "notify", "webhooks"])
    monkeypatch.setattr(dependencies, "function_logs", lambda: logs)
    return fake


@pytest.fixture
def order_id(operations: Operations) -> UUID:
    return add_order(operations.database)


def read(operations: Operations, order_id: object, query: str = "") -> Answer:
    return operations.admin.get(f"{ADMIN}/orders/{order_id}/logs?{query}")


def test_lines_of_all_functions_are_in_the_order_of_time(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.write(
        "notify", "Notification sent", at=2, order_id=str(order_id), notification="order_confirmed"
    )
    cloudwatch.write("create-order", "Order accepted", at=0, correlation_id=TRACE.correlation_id)
    cloudwatch.write("notify", "Claimed", at=1, order_id=str(order_id))
    cloudwatch.write("webhooks", "Operator's action", at=3, target=str(order_id), correlation_id="another")

    answer = read(operations, order_id)

    assert answer.status == 200
    assert (answer.json["nextCursor"], answer.json["isComplete"]) == (None, True)
    items = answer.json["items"]
    assert [(item["function"], item["message"]) for item in items] == [
        ("create-order", "Order accepted"),
        ("notify", "Claimed"),
        ("notify", "Notification sent"),
        ("webhooks", "Operator's action"),
    ]
    assert items[2]["level"] == "INFO"
    assert items[2]["fields"] == {"order_id": str(order_id), "notification": "order_confirmed"}
    assert [item["time"] for item in items] == sorted(item["time"] for item in items)
    pattern = cloudwatch.asked[0]["filterPattern"]
    assert pattern == (
        f'{{ ($.order_id = "{order_id}") || ($.target = "{order_id}") '
        f'|| ($.correlation_id = "{TRACE.correlation_id}") }}'
    )


def test_what_is_of_another_order_is_not_shown_whatever_its_correlation_id(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.write("notify", "Another's", order_id=str(uuid4()), correlation_id=TRACE.correlation_id)
    cloudwatch.write("notify", "Nobody's", correlation_id="else")
    cloudwatch.tell("notify", "START RequestId: 1")
    cloudwatch.tell("notify", json.dumps({"_aws": {}, "order_id": str(order_id)}))
    cloudwatch.tell("notify", json.dumps([str(order_id)]))

    assert read(operations, order_id).json["items"] == []


def test_a_line_is_bounded_and_says_no_more_than_it_says(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.write(
        "notify",
        "m" * 5_000,
        order_id=str(order_id),
        detail="d" * 5_000,
        amounts=[1, 2],
        retried=True,
        stack_trace={"frames": ["x"]},
    )

    (line,) = read(operations, order_id).json["items"]

    assert len(line["message"]) <= reader.MAX_VALUE
    assert len(line["fields"]["detail"]) <= reader.MAX_VALUE
    assert line["fields"] == {
        "order_id": str(order_id),
        "detail": line["fields"]["detail"],
        "amounts": "[1, 2]",
        "retried": True,
    }
    assert EMAIL not in str(line)
    assert PHONE not in str(line)


def test_pages_go_on_where_the_one_before_has_ended(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    for number in range(7):
        # Three of them in one millisecond.
        cloudwatch.write(
            "notify", f"line {number}", at=1 if number in (2, 3, 4) else number, order_id=str(order_id)
        )
    expected = [line["message"] for line in read(operations, order_id).json["items"]]
    assert len(expected) == 7

    for limit in (1, 2, 3):
        pages = every_page(operations.admin, f"{ADMIN}/orders/{order_id}/logs", limit=limit)
        assert [line["message"] for page in pages for line in page] == expected


def test_all_pages_of_a_function_s_log_are_read(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.page = 2
    for number in range(5):
        cloudwatch.write("notify", str(number), at=number, order_id=str(order_id))

    assert len(read(operations, order_id).json["items"]) == 5


def test_a_log_without_end_is_not_read_for_ever(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_PAGES", 2)
    cloudwatch.page = 1
    for number in range(5):
        cloudwatch.write("notify", str(number), at=number, order_id=str(order_id))

    answer = read(operations, order_id).json

    assert (len(answer["items"]), answer["isComplete"]) == (2, False)


def test_when_time_is_over_the_rest_is_left_out(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "may_go_on", lambda context: lambda: False)
    cloudwatch.write("notify", "x", order_id=str(order_id))

    assert read(operations, order_id).json == {"items": [], "nextCursor": None, "isComplete": False}


def test_a_function_whose_log_cannot_be_read_is_told_of(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.write("notify", "x", order_id=str(order_id))
    cloudwatch.refusing = {"create-order"}

    answer = read(operations, order_id).json

    assert (len(answer["items"]), answer["isComplete"]) == (1, False)


def test_cloudwatch_that_does_not_answer_is_unavailable(
    operations: Operations, cloudwatch: FakeLogs, order_id: UUID
) -> None:
    cloudwatch.refusing = {"create-order", "notify", "webhooks"}

    answer = read(operations, order_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (503, "service-unavailable")


@pytest.mark.parametrize("order_id", ["018f3f7e-0000-7000-8000-00000000000a", "nothing"])
def test_an_unknown_order_is_not_found(operations: Operations, cloudwatch: FakeLogs, order_id: str) -> None:
    assert read(operations, order_id).status == 404
    assert cloudwatch.asked == []


def windows(*days: float, now: float = 100) -> Iterator[tuple[float, float]]:
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    found = windows_around([begun + timedelta(days=day) for day in days], begun + timedelta(days=now))
    for start, end in found:
        yield (start - begun) / timedelta(minutes=1), (end - begun) / timedelta(minutes=1)


def test_only_the_times_around_what_happened_are_looked_through() -> None:
    assert [*windows(0, 10 / 1440, 20)] == [(-1, 25), (20 * 1440 - 1, 20 * 1440 + 15)]
    assert [*windows(0, now=0)] == [(-1, 1)], "nothing is logged in the future"


def test_an_order_that_was_come_back_to_often_is_looked_through_at_its_beginning_and_end() -> None:
    found = [*windows(*range(50))]

    assert len(found) == reader.MAX_WINDOWS
    assert (found[0][0], found[-1][0]) == (-1, 49 * 1440 - 1)
