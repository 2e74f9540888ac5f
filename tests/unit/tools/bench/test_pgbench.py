"""pgbench repeats a request: what differs between two of them is counted up, the rest is the same."""

from pathlib import Path

import pytest

from tools.bench.pgbench import script
from tools.round_trips import Statement

ONE = Statement(
    "INSERT INTO rates VALUES ($1, $2, $3)", ("someone", "01a2101a-d487-783b-a026-c1a3b52c0f11", "3")
)
OTHER = Statement(ONE.sql, ("someone", "01a2101a-d488-7d7e-83b9-0c77f1b2a909", "7"))


def test_ids_end_with_the_counter_and_lanes_with_its_last_digit(tmp_path: Path) -> None:
    script([[ONE], [OTHER]], tmp_path / "script.sql")

    assert (tmp_path / "script.sql").read_text().splitlines() == [
        r"\set number :number + 1",
        r"\set digit :number % 10",
        "INSERT INTO rates VALUES ('someone', '01a2101a-d487-783b-a026-:number', ':digit');",
    ]


def test_what_most_requests_have_in_common_is_counted_too(tmp_path: Path) -> None:
    """Or every transaction would go to one lane, which is soon full: refusing is less work than accepting."""
    twin = Statement(ONE.sql, (*OTHER.parameters[:2], "3"))

    script([[ONE], [twin], [OTHER]], tmp_path / "script.sql")

    assert "':digit'" in (tmp_path / "script.sql").read_text()


def test_requests_for_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same statements"):
        script([[ONE], [Statement("SELECT 1")]], tmp_path / "script.sql")
