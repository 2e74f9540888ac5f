"""The search over all orders, for operators: by an index whatever is asked for, and bounded.

One of the filters chooses the index; what it finds is held against the others, so many orders at a time: see `walk`.
"""

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import TextClause, text

from functions.operations import walk
from functions.operations.orders.records import AdminOrder
from functions.operations.walk import MayGoOn
from orders.conditional import digest
from orders.db import Database
from orders.domain import FailureReason, OrderStatus
from orders.http import ApiModel
from orders.ids import FIRST_ID, LAST_ID

Sort = Literal["newest", "oldest"]
EXAMINED: Final = 100
"""Orders that one statement holds against the other filters, at least: it takes milliseconds."""
STATEMENTS: Final = 10
"""That are tried to fill one page."""
EXPORT_LIMIT: Final = 10_000
"""Orders in one CSV document: some 2 MB, of the 6 MB that a Lambda may return."""

_CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""An order's id has the time of the function that made it, `created_at` that of the database."""
_COMMANDS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets take for a formula (OWASP, CSV Injection)."""


@dataclass(frozen=True)
class OrderSearch:
    """What is searched for; what is None matters not. All of it must be true of an order."""

    order_id: UUID | None = None
    idempotency_key: str | None = None
    correlation_id: str | None = None
    email: str | None = None
    """However it is spelled."""
    phone: str | None = None
    failure_reason: FailureReason | None = None
    product_id: UUID | None = None
    status: OrderStatus | None = None
    placed_from: datetime | None = None
    placed_to: datetime | None = None
    """Not included."""
    sort: Sort = "newest"

    @property
    def listing(self) -> str:
        """Names the list to its cursors, which go into addresses: without what is searched for in it."""
        return f"admin orders {digest(json.dumps(asdict(self), default=str))}"


@dataclass(frozen=True)
class _Filter:
    """How orders are found by a filter's value, in an index that has them in the order of time."""

    column: str
    type: str = "text"
    table: str = "orders"
    id: str = "id"
    condition: str = "true"
    """Of the index."""

    def of(self, name: str) -> str:
        """SQL: whether `orders` has the filter's value."""
        if self.table == "orders":
            return f"{self.column} = {self._value(name)}"
        return (
            f"EXISTS (SELECT FROM {self.table} WHERE {self.column} = {self._value(name)} "
            f"AND {self.table}.{self.id} = orders.id)"
        )

    def candidates(self, name: str) -> tuple[str, str]:
        """SQL: the condition that this index alone can read in its order, and that order's first column."""
        # An array of one, and an order by what is the same in all rows: Postgres does not see that it is, so that only
        # this index has the rows in their order. Else it may read all orders, newest first, in the hope of finding some
        # soon.
        return f"{self.column} = ANY (ARRAY[{self._value(name)}]) AND {self.condition}", self.column

    def _value(self, name: str) -> str:
        return f"CAST(:{name} AS {self.type})"


# The first of them that is given chooses the index: those come first that leave the fewest orders.
_FILTERS: Final = {
    "order_id": _Filter("id", "uuid"),
    "idempotency_key": _Filter("key", table="idempotency_keys", id="order_id"),
    "correlation_id": _Filter("correlation_id"),
    "email": _Filter("lower(contact_email)", condition="contact_email IS NOT NULL"),
    "phone": _Filter("contact_phone", condition="contact_phone IS NOT NULL"),
    "failure_reason": _Filter("failure_reason", condition="failure_reason IS NOT NULL"),
    "product_id": _Filter("product_id", "uuid", table="order_items", id="order_id"),
    "status": _Filter("status"),
}
_FEW: Final = frozenset({OrderStatus.PENDING, OrderStatus.PROCESSING, OrderStatus.NEEDS_REVIEW})
"""Statuses that few orders have, and not for long."""
_TIMES: Final = {"placed_from": "created_at >= :placed_from", "placed_to": "created_at < :placed_to"}


class AdminOrderList(ApiModel):
    """Orders that were found."""

    items: list[AdminOrder]
    next_cursor: str | None = Field(
        description="Gives the next page; null on the last one. A page of a search by several things may have fewer "
        "orders than `limit`, or none, and be followed by another one"
    )


@dataclass(frozen=True)
class Export:
    """A list of orders as CSV."""

    document: str
    next_cursor: str | None
    """Where the list goes on, if it is longer than one document."""


def search(
    database: Database, wanted: OrderSearch, cursor: str | None, limit: int, statements: int = STATEMENTS
) -> AdminOrderList:
    """A page of the orders that are searched for.

    Raises:
        InvalidCursor: it is not of this search.
        DatabaseUnavailable: try again.
    """
    orders, next_cursor = _collect(database, wanted, cursor, limit, walk.at_most(statements))
    return AdminOrderList(items=orders, next_cursor=next_cursor)


def export(
    database: Database, wanted: OrderSearch, cursor: str | None, limit: int, may_go_on: MayGoOn
) -> Export:
    """The orders that are searched for as CSV (RFC 4180), from the cursor on, as far as limit and time go.

    Raises:
        InvalidCursor, DatabaseUnavailable: as for `search`.
    """
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(field.alias for field in AdminOrder.model_fields.values())
    orders, next_cursor = _collect(database, wanted, cursor, limit, may_go_on)
    for order in orders:
        lines.writerow(_harmless(cell) for cell in order.model_dump(mode="json").values())
    return Export(written.getvalue(), next_cursor)


def statement(wanted: OrderSearch, start: UUID | None, limit: int) -> tuple[TextClause, dict[str, Any]]:
    """The statement that reads the page after the order `start`, and its parameters."""
    given = {
        field.name: value
        for field in fields(wanted)
        if field.name != "sort" and (value := getattr(wanted, field.name)) is not None
    }
    if "email" in given:
        given["email"] = given["email"].lower()
    chosen = _chosen(wanted, given)
    source = _FILTERS[chosen] if chosen else _Filter("")
    condition, first_column = source.candidates(chosen) if chosen else ("true", "")
    rest = [_FILTERS[name].of(name) for name in given if name in _FILTERS and name != chosen]
    # Nearly all of what the index finds between the ids fits; the rest is of the minutes around it.
    times = [_TIMES[name] for name in given if name in _TIMES]
    if source.table == "orders":
        condition = " AND ".join([condition, *times])
    else:
        rest += times

    after = _id_at(wanted.placed_from, -_CLOCKS_DIFFER, FIRST_ID)
    before = _id_at(wanted.placed_to, _CLOCKS_DIFFER, LAST_ID)
    if start and wanted.sort == "newest":
        before = min(before, start)
    elif start:
        after = max(after, start)
    direction, back = ("DESC", "ASC") if wanted.sort == "newest" else ("ASC", "DESC")
    # The index is read in its own order or backwards as a whole.
    first = f"{first_column} {back}, " if first_column else ""
    sql = f"""
        WITH candidate AS MATERIALIZED (
            SELECT {source.id} AS id FROM {source.table}
            WHERE {condition} AND {source.id} > :after AND {source.id} < :before
            ORDER BY {first}{source.id} {direction}
            LIMIT :examined
        )
        SELECT seen.examined, seen.last_id, found.*
        FROM (
            SELECT count(*) AS examined, (SELECT id FROM candidate ORDER BY id {back} LIMIT 1) AS last_id
            FROM candidate
        ) AS seen LEFT JOIN LATERAL (
            SELECT one.* FROM candidate CROSS JOIN LATERAL (
                SELECT id, status, failure_reason, total_amount, currency, correlation_id, created_at, updated_at
                FROM orders WHERE orders.id = candidate.id AND {" AND ".join(rest) or "true"} OFFSET 0
            ) AS one
            ORDER BY candidate.id {direction}
            LIMIT :limit
        ) AS found ON true
        ORDER BY found.id {direction}
    """
    return text(sql), {
        **given,
        # Two bounds, and no third one: Postgres knows how much lies between two.
        "after": after,
        "before": before,
        "examined": max(EXAMINED, limit + 1) if rest else limit + 1,
        "limit": limit + 1,
    }


def _collect(
    database: Database, wanted: OrderSearch, cursor: str | None, limit: int, may_go_on: MayGoOn
) -> tuple[list[AdminOrder], str | None]:
    """Up to `limit` orders, and the cursor of what may follow them."""
    rows, next_cursor = walk.collect(
        database, wanted.listing, partial(statement, wanted), cursor, limit, may_go_on
    )
    return [AdminOrder.of(row._mapping, order_id=row.id) for row in rows], next_cursor


def _chosen(wanted: OrderSearch, given: dict[str, Any]) -> str | None:
    """The filter that chooses the index."""
    names = [name for name in _FILTERS if name in given]
    if wanted.status in _FEW and names[0] in {"failure_reason", "product_id"}:
        return "status"
    return names[0] if names else None


def _id_at(moment: datetime | None, margin: timedelta, otherwise: UUID) -> UUID:
    """Around the id (UUIDv7) of an order that was placed at this moment."""
    if moment is None:
        return otherwise
    milliseconds = int((moment - datetime.fromtimestamp(0, UTC) + margin) / timedelta(milliseconds=1))
    # Ids have room for the years from 1970 to 10889.
    return UUID(int=max(milliseconds, 0) << 80)


def _harmless(cell: object) -> object:
    """The cell with an apostrophe before what a spreadsheet would calculate."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_COMMANDS) else cell
