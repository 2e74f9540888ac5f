"""A scrape reads what is small: what has not ended, the sums, and what was counted since they were added up."""

from typing import Any

import pytest
from sqlalchemy import Connection, text

from functions.operations import health
from orders import counters
from orders.db import Credentials, Database
from tests.support import volume
from tests.support.factories import execute
from tests.support.plans import Plans
from tests.support.reads import BUDGET_MS, executed

GROWS_WITH_ORDERS = ("orders", "order_items", "saga_steps", "stock_movements")
UNFINISHED = volume.ORDERS // 1_000 + volume.IN_REVIEW + volume.UNKNOWN_PAYMENTS

INDEXES = ("orders_unfinished", "orders_in_review", "outbox_due", "outbox_dead", "payments_undecided")


# The first one waits for the million.
@pytest.mark.timeout(300)
def test_with_a_million_orders_a_scrape_reads_what_has_not_ended_and_takes_milliseconds(
    million_orders: Credentials,
) -> None:
    database = Database(lambda: million_orders)

    def scrape() -> None:
        database.transact_alone(lambda connection: connection.execute(health.LOOK, health.LOOKED_FOR).one())
        database.transact_alone(counters.read)

    seen, p95 = executed(database, scrape)
    database.engine.dispose()

    scans = {scan for plans in seen for scan in plans.scans}
    assert not {scan for scan in scans for table in GROWS_WITH_ORDERS if f"Seq Scan on {table}:" in scan}
    assert max(plans.rows_scanned for plans in seen) <= 1.1 * UNFINISHED
    assert p95 <= BUDGET_MS


@pytest.mark.parametrize("index", INDEXES)
def test_what_is_now_is_read_by_indexes_that_hold_nothing_else(database: Database, index: str) -> None:
    def plan(connection: Connection) -> str:
        # The tables of a test are so small that reading them whole is cheapest.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {health.LOOK}"), health.LOOKED_FOR).scalars())

    told = database.transact(plan)
    assert f"using {index}" in told or f"on {index}" in told


def test_a_fold_of_a_backlog_reads_no_more_than_it_folds(database: Database) -> None:
    """However much was counted while nobody folded, a scrape adds up a bounded part of it."""
    execute(
        database,
        "INSERT INTO counted SELECT 'orders_processed', 'CONFIRMED', number % 70 "
        "FROM generate_series(1, 100000) AS number",
    )

    def plan(connection: Connection) -> Any:
        parameters = {"limit": counters.FOLD_LIMIT, "bounds": list(counters.BOUNDS)}
        (found,) = connection.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) {counters.FOLD}"), parameters
        ).scalar_one()
        return found

    folding = Plans([database.transact(plan)])
    assert folding.rows_scanned <= 2.1 * counters.FOLD_LIMIT, folding.scans
