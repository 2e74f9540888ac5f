"""What a server says of when to ask it again, and what nobody believes."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.deliver_webhooks.retry_after import BELIEVED_SECONDS, seconds_asked_for
from functions.deliver_webhooks.schedule import JITTER, LATEST, LONGEST_RETRY_AFTER_SECONDS, Schedule

IN_AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("1", 1), ("120", 120), (" 120 ", 120), ("0120", 120), (str(int(BELIEVED_SECONDS)), BELIEVED_SECONDS)],
)
def test_seconds_are_read(header: str, seconds: float) -> None:
    assert seconds_asked_for(header) == seconds


@pytest.mark.parametrize(
    "form",
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"],
    ids=["IMF-fixdate", "RFC 850", "asctime"],
)
def test_each_form_of_date_is_read(form: str) -> None:
    seconds = seconds_asked_for((datetime.now(UTC) + IN_AN_HOUR).strftime(form))

    assert seconds is not None
    assert 3500 < seconds <= 3600


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "0",
        "-1",
        "-120",
        "+120",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "١٢٠",
        "120, 240",
        "soon",
        "120 seconds",
        "inf",
        "nan",
        "9" * 5000,
        str(int(BELIEVED_SECONDS) + 1),
        "2030-01-01T00:00:00Z",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 99 Dec 2026 23:59:59 GMT",
        "Fri, 31 Foo 2026 23:59:59 GMT",
        "Fri, 31 Dec 2026 99:59:59 GMT",
        "Fri, 31 Dec 2026 23:59:59 +0200",
    ],
    ids=str,
)
def test_anything_else_is_as_if_it_were_not_there(header: str | None) -> None:
    assert seconds_asked_for(header) is None


WAITS = (5.0, 30.0, 30_000.0, 30_000.0)


@pytest.mark.parametrize("asked", [6.5, 60.0, 3600.0, LONGEST_RETRY_AFTER_SECONDS])
def test_a_wait_is_at_least_as_long_as_the_server_asks(asked: float) -> None:
    waits = [Schedule(WAITS).next_wait(1, 0, asked) for _ in range(100)]

    assert all(wait is not None and asked <= wait <= (1 + JITTER) * asked for wait in waits)


@pytest.mark.parametrize("asked", [None, 0.001, 1.0, 100.0])
def test_a_wait_is_never_shorter_for_it(asked: float | None) -> None:
    waits = [Schedule(WAITS).next_wait(3, 0, asked) for _ in range(100)]

    assert all(wait is not None and wait >= (1 - JITTER) * WAITS[2] for wait in waits)


def test_nobody_is_waited_for_longer_than_half_a_day() -> None:
    wait = Schedule(WAITS).next_wait(1, 0, BELIEVED_SECONDS)

    assert wait is not None
    assert LONGEST_RETRY_AFTER_SECONDS <= wait <= (1 + JITTER) * LONGEST_RETRY_AFTER_SECONDS


@pytest.mark.parametrize("age", [0.0, 50.0, 160.0])
def test_no_wait_goes_beyond_the_end_of_the_round(age: float) -> None:
    waits = (10.0, 100.0)

    wait = Schedule(waits).next_wait(1, age, 3600)

    assert wait is not None
    assert wait <= max(LATEST * sum(waits) - age, (1 + JITTER) * waits[0])


def test_it_gives_no_attempt_more_than_there_are() -> None:
    assert Schedule(WAITS).next_wait(len(WAITS) + 1, 0, 60) is None
    assert Schedule(WAITS).next_wait(1, LATEST * sum(WAITS) + 1, 60) is None
