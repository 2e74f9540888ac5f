"""A page of a list in which only some rows are wanted: so many rows are looked at in one statement, which therefore
takes milliseconds, and as many statements are tried as there is time for.

A page may have fewer rows than asked for, and be followed by another one all the same.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause

from orders.db import Database
from orders.errors import InvalidCursor
from orders.ids import FIRST_ID, LAST_ID
from orders.pages import cursor_after, id_before

Statement = Callable[[UUID | None, int], tuple[TextClause, dict[str, Any]]]
"""The statement that reads up to so many rows after the id, and its parameters. `examined` among them says how many
rows it looks at. It returns the columns `examined` (how many it did look at), `last_id` (the last of them) and `id`,
and a row without an `id` if none is wanted."""
MayGoOn = Callable[[], bool]
"""Whether there is time for another statement."""


def collect(
    database: Database, listing: str, statement: Statement, cursor: str | None, limit: int, may_go_on: MayGoOn
) -> tuple[list[Row[Any]], str | None]:
    """Up to `limit` rows, and the cursor of what may follow them.

    Raises:
        InvalidCursor: it is not of this listing.
        DatabaseUnavailable: try again.
    """
    found: list[Row[Any]] = []
    while True:
        rows, cursor = _read(database, listing, statement, cursor, limit - len(found))
        found += rows
        if cursor is None or len(found) == limit or not may_go_on():
            return found, cursor


def collect_each(
    database: Database,
    lists: Sequence[tuple[str, Statement]],
    cursor: str | None,
    limit: int,
    may_go_on: MayGoOn,
) -> tuple[list[Row[Any]], str | None]:
    """The same from several listings, each of which begins where the one before it ends. Ids descend in each.

    Raises:
        InvalidCursor, DatabaseUnavailable: as for `collect`.
    """
    found: list[Row[Any]] = []
    left = [*lists]
    while cursor is not None and len(left) > 1 and not _is_of(left[0][0], cursor):
        left.pop(0)
    while True:
        listing, statement = left.pop(0)
        rows, cursor = collect(database, listing, statement, cursor, limit - len(found), may_go_on)
        found += rows
        if cursor is None and left and (len(found) == limit or not may_go_on()):
            cursor = cursor_after(left[0][0], LAST_ID)
        if cursor is not None or not left:
            return found, cursor


def at_most(statements: int) -> MayGoOn:
    """Time for so many statements."""
    left = iter(range(statements - 1))
    return lambda: next(left, None) is not None


def _is_of(listing: str, cursor: str) -> bool:
    try:
        id_before(listing, cursor, FIRST_ID)
    except InvalidCursor:
        return False
    return True


def _read(
    database: Database, listing: str, statement: Statement, cursor: str | None, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """Up to `limit` rows, and the cursor of what follows them, if anything may."""
    start = None if cursor is None else id_before(listing, cursor, FIRST_ID)
    sql, parameters = statement(start, limit)
    rows = database.transact_alone(lambda connection: connection.execute(sql, parameters).all())
    found = [row for row in rows if row.id is not None]
    if len(found) > limit:
        return found[:limit], cursor_after(listing, found[limit - 1].id)
    is_cut = rows[0].examined == parameters["examined"]
    return found, cursor_after(listing, rows[0].last_id) if is_cut else None
