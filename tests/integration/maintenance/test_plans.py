"""Each sweep finds its rows by an index that holds nothing else, however large the tables are."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, TextClause, text

from functions.maintenance import outbox_watch, stock, stuck_orders
from orders import erasure
from orders.db import Database
from orders.ids import LAST_ID
from orders.payments import records
from tests.support.factories import ALICE

SWEEPS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "orders_unfinished": (stuck_orders._CLAIM, {"patience": 30, "interval": 45, "limit": 50}),
    "outbox_due": (outbox_watch._DUE, {}),
    "outbox_order_created": (stuck_orders._CLAIM, {"patience": 30, "interval": 45, "limit": 50}),
    "reservations_expiring": (stock._EXPIRE, {"limit": 200}),
    "payments_undecided": (records._CLAIM_UNDECIDED, {"untouched_seconds": 60, "limit": 5}),
    "stock_low": (stock._REARM, {}),
    "orders_with_contact": (erasure.AGED, {"age": "90 days", "limit": 200}),
    "orders_by_user": (
        erasure.OF_CUSTOMER,
        {"user_id": ALICE, "before": LAST_ID, "requested_at": datetime(2026, 1, 1, tzinfo=UTC), "limit": 200},
    ),
}


@pytest.mark.parametrize(("index", "sweep"), SWEEPS.items(), ids=SWEEPS)
def test_a_sweep_reads_its_index(
    database: Database, index: str, sweep: tuple[TextClause, dict[str, Any]]
) -> None:
    statement, parameters = sweep

    def plan(connection: Connection) -> str:
        # The tables of a test are so small that reading them whole is cheapest.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {statement}"), parameters).scalars())

    assert f"using {index}" in database.transact(plan) or f"on {index}" in database.transact(plan)
