"""Reads at volume: what one takes is what Postgres itself says of each execution, so the network does not count.

Postgres tells elapsed time, in which a busy machine's other processes have their turns. Each draw of parameters is
executed three times, and the shortest is the statement's own.
"""

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orders.db import Credentials, Database
from tests.support.plans import Plans, explaining

DRAWS: Final = 40
TIMES: Final = 3
BUDGET_MS: Final = 10
"""p95, in the database."""

Read = Callable[[Database, random.Random], object]


@dataclass(frozen=True)
class Case:
    """One read, with parameters that vary from one execution to the next."""

    read: Read
    rows: int
    """At most, for each execution."""

    def hold(self, credentials: Credentials, draw: random.Random) -> None:
        """Asserts that it is one statement, goes by indexes, reads few rows, and takes milliseconds."""
        database = Database(lambda: credentials)
        seen, p95 = executed(database, lambda: self.read(database, draw), draw)
        database.engine.dispose()

        assert [len(plans.executed) for plans in seen] == [1] * DRAWS * TIMES
        widest = max(seen, key=lambda plans: plans.rows_scanned)
        assert widest.rows_scanned <= self.rows, widest.scans
        assert {scan for plans in seen for scan in plans.scans if scan.startswith("Seq Scan")} == set()
        assert p95 <= BUDGET_MS


def executed(
    database: Database, read: Callable[[], object], draw: random.Random | None = None
) -> tuple[list[Plans], float]:
    """The plans of every execution of a read, and the milliseconds that 95 % of its draws stay below."""
    draw = draw or random.Random()
    seen, milliseconds = [], []
    for _ in range(DRAWS):
        parameters = draw.getstate()
        alike = []
        for _ in range(TIMES):
            draw.setstate(parameters)
            with explaining(database) as plans:
                read()
            alike.append(plans)
        seen += alike
        milliseconds.append(min(sum(plans.milliseconds) for plans in alike))
    return seen, statistics.quantiles(milliseconds, n=20)[-1]
