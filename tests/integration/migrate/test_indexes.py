"""Trap T23: no index is there twice, and each is there for a statement that somebody can name.

What a unique one is for is that nothing is there twice. Every other index costs each write something: here stands who
reads it.
"""

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, TextClause, text

from functions.deliver_webhooks import attempts
from functions.mail_feedback import mail_feedback
from functions.maintenance import retention, stuck_orders
from functions.maintenance import stock as maintained_stock
from functions.manage_catalogue import stock
from functions.operations import health, outbox
from functions.operations.orders import records, search, timeline
from functions.operations.refunds import records as refund_records
from functions.outbox_relay import claims
from functions.read_orders import queries
from functions.webhooks import delivery_history
from orders import erasure, refunds
from orders.db import Database
from orders.domain import FailureReason, OrderStatus
from orders.payments import records as payment_records
from orders.payments.breaker import CIRCUIT
from payment_simulator import gateway
from tests.support.factories import rows

ID = UUID(int=7)
RECOVERY = {"patience": 30, "interval": 45, "limit": 50}
CLAIM = {"high_limit": 8, "limit": 10, "token": ID, "lease_seconds": 60}


def searched(**wanted: Any) -> tuple[TextClause, dict[str, Any]]:
    return search.statement(search.OrderSearch(**wanted), None, 20)


READERS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "orders_by_user": (queries._ORDERS, {"user_id": "u", "before": ID, "limit": 21}),
    "orders_by_user_and_status": (
        queries._ORDERS_IN_STATUS,
        {"user_id": "u", "status": "PENDING", "before": ID, "limit": 21},
    ),
    "orders_unfinished": (stuck_orders._CLAIM, RECOVERY),
    "orders_with_contact": (erasure.AGED, {"age": "90 days", "limit": 200}),
    "orders_in_review": (health.LOOK, {"circuit": CIRCUIT, "window": 30}),
    "orders_by_status": searched(status=OrderStatus.CANCELLED),
    "orders_by_failure_reason": searched(failure_reason=FailureReason.FRAUD_SUSPECTED),
    "orders_by_correlation_id": searched(correlation_id="c"),
    "orders_by_email": searched(email="ada@example.com"),
    "orders_by_phone": searched(phone="+34600123456"),
    "order_items_by_product": searched(product_id=ID),
    "idempotency_keys_by_key": searched(idempotency_key="k"),
    "webhook_deliveries_by_order": (timeline.STORY, {"order_id": ID}),
    "products_on_sale": (queries._PRODUCTS, {"after": ID, "limit": 21}),
    "stock_low": (maintained_stock._REARM, {}),
    "stock_movements_by_product": (stock._MOVEMENTS, {"product_id": ID, "before": 7, "limit": 21}),
    "idempotency_keys_by_age": (retention._IDEMPOTENCY, {"age": retention.IDEMPOTENCY_RETENTION, "limit": 5}),
    "outbox_due": (claims._CLAIM, CLAIM),
    "outbox_dead": (outbox.LIST, {"after": ID, "limit": 21}),
    "outbox_order_created": (stuck_orders._CLAIM, RECOVERY),
    "reservations_expiring": (maintained_stock._EXPIRE, {"limit": 200}),
    "payments_undecided": (payment_records._CLAIM_UNDECIDED, {"untouched_seconds": 60, "limit": 5}),
    "payments_by_provider_id": (payment_records._FIND_KNOWN, {"key": None, "payment_id": "pi_7"}),
    "webhook_deliveries_by_endpoint": (
        delivery_history._PAGE,
        {"webhook_id": ID, "user_id": "u", "before": ID, "limit": 21},
    ),
    "webhook_deliveries_under_way": (
        attempts._LEASE,
        {"delivery_id": ID, "endpoint_id": ID, "user_id": "u", "is_slow": False, "lease_seconds": 60},
    ),
    "webhook_requests_by_age": (
        retention._WEBHOOK_REQUESTS,
        {"age": retention.IDEMPOTENCY_RETENTION, "limit": 5},
    ),
    "recipients_unconfirmed": (
        retention._RECIPIENTS,
        {"age": retention.UNCONFIRMED_RETENTION, "limit": 5},
    ),
    "account_addresses_by_age": (
        retention._ACCOUNTS,
        {"age": retention.ACCOUNT_RETENTION, "limit": 5},
    ),
    "repairs_by_order": (records.RECORDS, {"order_id": ID}),
    "operator_actions_by_order": (records.RECORDS, {"order_id": ID}),
    "refunds_open": (refund_records._OPEN, {"status": "NEEDS_REVIEW", "after": ID, "limit": 21}),
    "refunds_by_order": (refund_records._OF_ORDER, {"order_id": ID}),
    "payment_disputes_by_order": (refunds._TAKEN, {"order_id": ID}),
    "suppressed_addresses_by_order": (text(erasure._OF_ORDERS[1]), {"order_ids": [ID]}),
    "notifications_by_provider_id": (mail_feedback._FIND_NOTIFICATION, {"message_id": "m"}),
    "recipients_by_code_provider_id": (mail_feedback._FIND_CODE, {"message_id": "m"}),
    # For whoever looks into the gateway's ledger.
    "gateway.entries_key": (text("SELECT * FROM gateway.entries WHERE key = :key"), {"key": "order-7"}),
    "gateway.refunds_key": (gateway._FIND_REFUNDS, {"key": "order-7"}),
    "gateway.disputes_key": (gateway._FIND_DISPUTES, {"key": "order-7"}),
}

_WITHOUT_CONSTRAINT = """
    SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class AS owner ON owner.oid = indrelid
    WHERE owner.relnamespace::regnamespace::text IN ('public', 'gateway')
      AND NOT indisunique
"""
# Of two indexes on the same rows, one that begins with all the columns of the other can stand in for it.
_COLUMNS = """
    SELECT indexrelid::regclass::text AS name, indrelid::regclass::text AS owner,
           coalesce(pg_get_expr(indpred, indrelid), '') AS condition,
           ARRAY(SELECT pg_get_indexdef(indexrelid, place, false) || ' ' || indoption[place - 1]
                 FROM generate_series(1, indnkeyatts) AS place ORDER BY place) AS columns
    FROM pg_index JOIN pg_class AS owner ON owner.oid = indrelid
    WHERE owner.relnamespace::regnamespace::text IN ('public', 'gateway')
"""


def doubled(database: Database) -> set[tuple[str, str]]:
    """An index, and one that could stand in for it."""
    found = rows(database, _COLUMNS)
    return {
        (one["name"], other["name"])
        for one, other in permutations(found, 2)
        if (one["owner"], one["condition"]) == (other["owner"], other["condition"])
        and other["columns"][: len(one["columns"])] == one["columns"]
    }


def test_every_index_without_a_constraint_has_a_reader(database: Database) -> None:
    assert {row["name"] for row in rows(database, _WITHOUT_CONSTRAINT)} == READERS.keys()


@pytest.mark.parametrize("index", READERS)
def test_its_reader_reads_it(database: Database, index: str) -> None:
    statement, parameters = READERS[index]

    def plan(connection: Connection) -> str:
        # The tables of a test are so small that reading them whole is cheapest.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {statement}"), parameters).scalars())

    name = index.rpartition(".")[2]
    assert any(f"{word} {name}" in database.transact(plan) for word in ("using", "on"))


def test_no_index_is_there_twice(database: Database) -> None:
    assert doubled(database) == set()


@pytest.mark.parametrize(
    "superfluous",
    [
        "CREATE INDEX again ON orders (user_id, id DESC)",
        "CREATE INDEX again ON orders (user_id)",
        "CREATE INDEX again ON orders (id)",
        "CREATE INDEX again ON products (id) WHERE active",
        "CREATE INDEX again ON order_items (order_id)",
    ],
)
def test_one_that_another_could_stand_in_for_is_found(database: Database, superfluous: str) -> None:
    def look(connection: Connection) -> None:
        connection.execute(text(superfluous))

    database.transact(look)

    assert "again" in {one for one, _ in doubled(database)}
