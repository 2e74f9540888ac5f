"""Ids sort by time, are never the same, and are written in one way."""

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.ids import parse_uuid, uuid7


def test_an_id_is_a_uuid_of_version_7() -> None:
    for _ in range(1000):
        id = uuid7()
        assert (id.version, id.variant) == (7, RFC_4122)


def test_its_first_48_bits_are_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = uuid7().int >> 80
    after = time.time_ns() // 1_000_000

    assert before <= milliseconds <= after


def test_ids_of_later_milliseconds_sort_later_also_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for milliseconds in (0, 1, 255, 256, 1_767_225_600_000, 2**48 - 1):
        monkeypatch.setattr(time, "time_ns", lambda ms=milliseconds: ms * 1_000_000)
        ids.append(uuid7())

    assert ids == sorted(ids)
    assert [str(id) for id in ids] == sorted(str(id) for id in ids)


def test_ids_of_one_millisecond_sort_in_the_order_in_which_they_were_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_767_225_600_000 * 1_000_000)
    ids = [uuid7() for _ in range(1000)]

    assert ids == sorted(ids)
    assert {(id.version, id.variant) for id in ids} == {(7, RFC_4122)}


def test_ids_of_one_millisecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_767_225_600_000 * 1_000_000)

    assert len({uuid7() for _ in range(10_000)}) == 10_000


@given(st.uuids())
def test_any_uuid_is_read_in_its_usual_form(id: UUID) -> None:
    assert parse_uuid(str(id)) == parse_uuid(str(id).upper()) == id


@given(st.uuids())
def test_its_other_forms_are_not_read(id: UUID) -> None:
    for other in (
        id.hex,
        f"{{{id}}}",
        id.urn,
        f" {id}",
        f"{id}\n",
        str(id)[:-1],
        f"{id}0",
        str(id).replace("-", "_"),
    ):
        assert parse_uuid(other) is None


@given(st.text())
def test_any_text_is_either_read_or_not(text: str) -> None:
    assert parse_uuid(text) is None


def test_digits_of_other_scripts_are_none() -> None:
    assert parse_uuid("٠18f3f7e-0000-7000-8000-000000000001") is None
