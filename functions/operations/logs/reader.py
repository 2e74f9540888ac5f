"""What the functions have logged of one order, from CloudWatch Logs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from functions.operations.orders.records import OrderRecords, read_records
from functions.operations.walk import MayGoOn
from orders import aws
from orders.aws import sdk_calls
from orders.db import Database
from orders.errors import ServiceUnavailable
from orders.http import ApiModel
from orders.observability import logger, shortened
from orders.pages import cut, number_before

MAX_LIMIT: Final = 500
DEFAULT_LIMIT: Final = 200
BEFORE: Final = timedelta(minutes=1)
AFTER: Final = timedelta(minutes=15)
"""Around each moment at which something is recorded of the order, what is logged is looked through: a message may be
delivered again minutes after it had its effect."""
MAX_WINDOWS: Final = 12
"""An order that somebody has come back to more often than that is looked through at its beginning and at its newest
moments."""
MAX_PAGES: Final = 20
"""Of one function's log in one window. CloudWatch Logs looks through a megabyte for each."""
THREADS: Final = 8
"""CloudWatch Logs allows an account some ten requests a second of this kind, and the SDK waits and repeats."""
ATTEMPTS: Final = 4
READ_TIMEOUT_SECONDS: Final = 4.0
MAX_VALUE: Final = 500
"""Characters of one field."""

# What every line says of the function that wrote it, and what is shown beside the fields.
_OF_THE_LINE: Final = frozenset({"level", "location", "message", "timestamp", "service", "stack_trace"})
_OF_THE_FUNCTION: Final = frozenset(
    {
        "cold_start",
        "function_name",
        "function_memory_size",
        "function_arn",
        "function_request_id",
        "sampling_rate",
    }
)
_METRICS: Final = "_aws"
"""Marks what is written for CloudWatch's metrics."""
_SAME_MILLISECOND: Final = 10_000
"""Lines of one order in one millisecond, more than there ever are."""

Window = tuple[datetime, datetime]


class LogLine(ApiModel):
    """One line of one function."""

    time: datetime
    level: str = Field(examples=["INFO"])
    function: str = Field(examples=["process-payment"])
    message: str
    fields: dict[str, str | int | float | bool | None] = Field(
        description="What else the line says: ids and codes",
        examples=[{"order_id": "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10"}],
    )


class LogLines(ApiModel):
    """Oldest first."""

    items: list[LogLine]
    next_cursor: str | None
    is_complete: bool = Field(
        description="false: CloudWatch Logs was too slow, or did not answer for some functions: lines may be missing"
    )


def connect() -> Any:
    """A client of CloudWatch Logs, for several threads."""
    return aws.connect(
        "logs",
        read_timeout_seconds=READ_TIMEOUT_SECONDS,
        attempts=ATTEMPTS,
        max_pool_connections=THREADS,
    )


@dataclass(frozen=True)
class _Found:
    """A line, and whether all that was asked of its function's log was looked through."""

    lines: Sequence[LogLine]
    is_complete: bool


@dataclass(frozen=True)
class FunctionLogs:
    """The log groups of this stage's functions, each named by the prefix and the function's name."""

    client: Any
    prefix: str
    functions: Sequence[str]

    def find(
        self, order_id: UUID, correlation_id: str, windows: Sequence[Window], may_go_on: MayGoOn
    ) -> tuple[list[LogLine], bool]:
        """The order's lines in the order of time, and whether they are all that there are.

        Raises:
            ServiceUnavailable: CloudWatch Logs answers for no function.
        """
        pattern = (
            f'{{ ($.order_id = "{order_id}") || ($.target = "{order_id}") '
            f'|| ($.correlation_id = "{correlation_id}") }}'
        )

        def look(asked: tuple[str, Window]) -> _Found | ServiceUnavailable:
            function, window = asked
            try:
                return self._look(function, window, pattern, order_id, correlation_id, may_go_on)
            except ServiceUnavailable as error:
                return error

        asked = [(function, window) for window in windows for function in self.functions]
        with ThreadPoolExecutor(THREADS) as pool:
            looked = [*pool.map(look, asked)]
        found = [each for each in looked if isinstance(each, _Found)]
        refusals = [each for each in looked if isinstance(each, ServiceUnavailable)]
        if refusals and not found:
            raise refusals[0]
        if refusals:
            logger.warning("Some functions' logs could not be read", exc_info=refusals[0])
        lines = [line for each in found for line in each.lines]
        is_complete = not refusals and all(each.is_complete for each in found)
        return sorted(lines, key=lambda line: (line.time, line.function)), is_complete

    def _look(
        self,
        function: str,
        window: Window,
        pattern: str,
        order_id: UUID,
        correlation_id: str,
        may_go_on: MayGoOn,
    ) -> _Found:
        start, end = window
        request: dict[str, Any] = {
            "logGroupName": self.prefix + function,
            "startTime": int(1000 * start.timestamp()),
            "endTime": int(1000 * end.timestamp()),
            "filterPattern": pattern,
        }
        lines: list[LogLine] = []
        for _ in range(MAX_PAGES):
            if not may_go_on():
                break
            with sdk_calls("CloudWatch Logs"):
                try:
                    page = self.client.filter_log_events(**request)
                except self.client.exceptions.ResourceNotFoundException:
                    # A function that has never run, or whose log is gone.
                    return _Found(lines, is_complete=True)
            lines += _lines(page["events"], function, str(order_id), correlation_id)
            if not page.get("nextToken"):
                return _Found(lines, is_complete=True)
            request["nextToken"] = page["nextToken"]
        return _Found(lines, is_complete=False)


def read_logs(
    database: Database,
    logs: FunctionLogs,
    order_id: UUID,
    cursor: str | None,
    limit: int,
    may_go_on: MayGoOn,
) -> LogLines:
    """A page of what was logged of the order.

    Raises:
        OrderNotFound: there is no such order.
        InvalidCursor: it is not of this list.
        ServiceUnavailable, DatabaseUnavailable: try again.
    """
    listing = f"admin logs {order_id}"
    after = number_before(listing, cursor, 0)
    order = read_records(database, order_id)
    since = datetime.fromtimestamp(after // _SAME_MILLISECOND / 1000, UTC)
    now = datetime.now(UTC)
    windows = [
        (max(start, since), end) for start, end in windows_around(_moments(order, now), now) if end > since
    ]
    lines, is_complete = logs.find(order_id, order.correlation_id, windows, may_go_on)
    numbered = [(number, line) for number, line in _numbered(lines) if number > after]
    page, next_cursor = cut(listing, numbered, limit, lambda each: each[0])
    return LogLines(items=[line for _, line in page], next_cursor=next_cursor, is_complete=is_complete)


def windows_around(moments: Iterable[datetime], now: datetime) -> list[Window]:
    """The times to look through, oldest first: those around the moments, until now."""
    windows: list[Window] = []
    for moment in sorted(moments):
        start, end = moment - BEFORE, min(moment + AFTER, now + BEFORE)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(windows[-1][1], end))
        else:
            windows.append((start, end))
    return windows if len(windows) <= MAX_WINDOWS else [windows[0], *windows[1 - MAX_WINDOWS :]]


def _moments(order: OrderRecords, now: datetime) -> Iterator[datetime]:
    """When something happened to the order."""
    yield from (order.created_at, order.updated_at)
    if not order.status.is_terminal:
        yield now
    for event in order.events:
        yield event.created_at
        yield event.published_at or event.created_at
    for step in order.steps:
        yield step.at
    for message in order.notifications:
        yield message.sent_at or message.queued_at
    for refund in order.refunds:
        yield from (refund.created_at, refund.updated_at)
    for repair in order.repairs:
        yield repair.at
    for action in order.actions:
        yield action.at


def _numbered(lines: Iterable[LogLine]) -> Iterator[tuple[int, LogLine]]:
    """Each line with its number in the list: its millisecond, and which of that millisecond's it is."""
    for millisecond, alike in groupby(lines, lambda line: int(1000 * line.time.timestamp())):
        for place, line in enumerate(alike, 1):
            yield millisecond * _SAME_MILLISECOND + min(place, _SAME_MILLISECOND - 1), line


def _lines(
    events: Iterable[Mapping[str, Any]], function: str, order_id: str, correlation_id: str
) -> Iterator[LogLine]:
    """The lines among the events that are of the order. A caller may give a correlation id to many orders."""
    for event in events:
        try:
            line = json.loads(event["message"])
        except ValueError:
            continue
        if not isinstance(line, dict) or _METRICS in line:
            continue
        of_order = line.get("order_id")
        is_named = order_id in (of_order, line.get("target"))
        if is_named or (of_order is None and line.get("correlation_id") == correlation_id):
            yield LogLine(
                time=_time_of(line, event["timestamp"]),
                level=str(line.get("level", "")),
                function=function,
                message=shortened(str(line.get("message", "")), MAX_VALUE),
                fields={
                    name: _shown(value)
                    for name, value in line.items()
                    if name not in _OF_THE_LINE | _OF_THE_FUNCTION
                },
            )


def _time_of(line: Mapping[str, Any], arrived_ms: int) -> datetime:
    """What the line itself says; CloudWatch Logs has the time at which it was told."""
    try:
        return datetime.fromisoformat(str(line.get("timestamp"))).astimezone(UTC)
    except ValueError:
        return datetime.fromtimestamp(arrived_ms / 1000, UTC)


def _shown(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return shortened(text, MAX_VALUE)
