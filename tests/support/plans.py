"""What Postgres really did: the plans of executed statements, as its own auto_explain reports them to the client."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection

from orders.db import Database

SETTINGS: Final = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    # To the client, and to nobody else.
    "auto_explain.log_level": "notice",
}
"""For `ALTER DATABASE … SET`, by a superuser: connections made from then on report their plans."""


@dataclass
class Plans:
    """The plans of what was executed while `explaining` was open."""

    executed: list[dict[str, Any]] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    """What each took in the database, without its planning."""

    @property
    def rows_scanned(self) -> int:
        """Rows that were read from tables, also those that a filter then threw away."""
        return sum(_rows(node) for plan in self.executed for node in _nodes(plan["Plan"]) if _is_scan(node))

    @property
    def scans(self) -> list[str]:
        """Each reading of a table: how, and which."""
        return [
            f"{node['Node Type']} on {node['Relation Name']}: {_rows(node)}"
            for plan in self.executed
            for node in _nodes(plan["Plan"])
            if _is_scan(node)
        ]


@contextlib.contextmanager
def explaining(database: Database) -> Iterator[Plans]:
    """Collects the plans of what the process executes on its one connection."""
    notices = database.transact(_notices)
    notices.clear()
    plans = Plans()
    yield plans
    for message in notices:
        head, _, plan = message[b"M"].decode().partition("plan:\n")
        if plan:
            plans.executed.append(json.loads(plan))
            plans.milliseconds.append(float(head.removeprefix("duration: ").partition(" ms")[0]))


def _notices(connection: Connection) -> Any:
    return connection.connection.dbapi_connection.notices  # type: ignore[union-attr]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _is_scan(node: dict[str, Any]) -> bool:
    return node["Node Type"].endswith("Scan") and "Relation Name" in node


def _rows(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
