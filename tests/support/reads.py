"""Reads at volume: what one takes is what Postgres itself says of each execution. So the machine's other work counts,
and the network does not."""

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orders.db import Credentials, Database
from tests.support.plans import explaining

EXECUTIONS: Final = 120
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
        seen = []
        for _ in range(EXECUTIONS):
            with explaining(database) as plans:
                self.read(database, draw)
            seen.append(plans)
        database.engine.dispose()

        assert [len(plans.executed) for plans in seen] == [1] * EXECUTIONS
        widest = max(seen, key=lambda plans: plans.rows_scanned)
        assert widest.rows_scanned <= self.rows, widest.scans
        assert {scan for plans in seen for scan in plans.scans if scan.startswith("Seq Scan")} == set()
        assert statistics.quantiles([plans.milliseconds[0] for plans in seen], n=20)[-1] <= BUDGET_MS
