"""Cursors: what a list gives out it takes back, and nothing else."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.errors import InvalidCursor
from orders.ids import FIRST_ID, LAST_ID
from orders.pages import LAST_NUMBER, cursor_after, cut, id_before, number_before

ID = UUID("018f3f7e-0000-7000-8000-000000000001")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@given(st.uuids(), st.text())
def test_an_id_comes_back(last: UUID, listing: str) -> None:
    assert id_before(listing, cursor_after(listing, last), FIRST_ID) == last


@given(st.integers(0, LAST_NUMBER), st.text())
def test_a_number_comes_back(last: int, listing: str) -> None:
    assert number_before(listing, cursor_after(listing, last), LAST_NUMBER) == last


def test_without_a_cursor_the_list_begins_at_its_beginning() -> None:
    assert id_before("orders", None, LAST_ID) == LAST_ID
    assert number_before("movements", None, LAST_NUMBER) == LAST_NUMBER


def test_a_cursor_stands_in_an_address_as_it_is() -> None:
    assert all(c.isalnum() or c in "-_" for c in cursor_after("orders in NEEDS_REVIEW", LAST_ID))


@given(st.text())
def test_what_nobody_gave_out_is_refused(garbled: str) -> None:
    with pytest.raises(InvalidCursor):
        id_before("orders", garbled, LAST_ID)
    with pytest.raises(InvalidCursor):
        number_before("orders", garbled, LAST_NUMBER)


@pytest.mark.parametrize(
    "forged",
    [
        f"1 {ID} products",
        f"2 {ID} orders",
        f"1 {str(ID).upper()} orders",
        f"1 {ID.hex} orders",
        "1 7 orders",
        "1 orders",
        f"1 {ID} orders ",
        f" 1 {ID} orders",
    ],
)
def test_an_id_has_one_cursor_in_one_list(forged: str) -> None:
    with pytest.raises(InvalidCursor):
        id_before("orders", encoded(forged), LAST_ID)


@pytest.mark.parametrize("number", ["-1", "01", "+1", "1_0", "١", "1.0", str(LAST_NUMBER + 1), "9" * 5000])
def test_a_number_that_no_row_can_have_is_refused(number: str) -> None:
    with pytest.raises(InvalidCursor):
        number_before("movements", encoded(f"1 {number} movements"), LAST_NUMBER)


@pytest.mark.parametrize(
    ("rows", "page", "next_cursor"),
    [
        ([], [], None),
        ([1], [1], None),
        ([1, 2], [1, 2], None),
        ([1, 2, 3], [1, 2], cursor_after("numbers", 2)),
    ],
)
def test_another_page_follows_if_there_is_one_row_more(
    rows: list[int], page: list[int], next_cursor: str | None
) -> None:
    assert cut("numbers", rows, 2, lambda row: row) == (page, next_cursor)
