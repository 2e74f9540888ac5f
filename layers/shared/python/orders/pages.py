"""Pages of a list, by keyset: a page begins after the last item of the one before, so the thousandth costs no more
than the first, and what is added meanwhile shifts nothing.

Clients pass a cursor on as it is. It says which list, with which filter, it belongs to: applied to another one it would
silently leave items out.
"""

import base64
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Final, TypeVar
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query

from orders.errors import FieldError, InvalidCursor
from orders.ids import LAST_ID as LAST_ID
from orders.ids import parse_uuid

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100

LAST_NUMBER: Final = 2**63 - 1
"""After every number that a `bigint` holds."""

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items a page has at most")]
Cursor = Annotated[str | None, Query(description="The `nextCursor` of the page before")]

Row = TypeVar("Row")

_VERSION: Final = "1"


def cursor_after(listing: str, last: UUID | int) -> str:
    """The cursor of the page that begins after the item with this id. `listing` names the list and its filter."""
    return base64.urlsafe_b64encode(f"{_VERSION} {last} {listing}".encode()).decode().rstrip("=")


def id_before(listing: str, cursor: str | None, start: UUID) -> UUID:
    """The id that the page begins after: `start` without a cursor.

    Raises:
        InvalidCursor: it is none of ours, or another list's.
    """
    if cursor is None:
        return start
    last = parse_uuid(_last(cursor))
    if last is None or cursor_after(listing, last) != cursor:
        raise _refused()
    return last


def number_before(listing: str, cursor: str | None, start: int) -> int:
    """The same for a list whose items are numbered.

    Raises:
        InvalidCursor: as for `id_before`.
    """
    if cursor is None:
        return start
    last = _last(cursor)
    if not (last.isascii() and last.isdigit() and len(last) <= len(str(LAST_NUMBER))):
        raise _refused()
    number = int(last)
    if number > LAST_NUMBER or cursor_after(listing, number) != cursor:
        raise _refused()
    return number


def cut(
    listing: str, rows: Sequence[Row], limit: int, id_of: Callable[[Row], UUID | int] = attrgetter("id")
) -> tuple[Sequence[Row], str | None]:
    """A page from `limit` rows and one more, if there are so many; and the cursor of the next page, if another
    follows."""
    page = rows[:limit]
    return page, cursor_after(listing, id_of(page[-1])) if len(rows) > limit else None


def _last(cursor: str) -> str:
    try:
        _, last, _ = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ", 2)
    except ValueError:
        raise _refused() from None
    return last


def _refused() -> InvalidCursor:
    detail = (
        "This is no cursor of this list: send a page's `nextCursor` as it is, and the page's other parameters"
    )
    return InvalidCursor("Refused: #/query/cursor", (FieldError("#/query/cursor", detail),))
