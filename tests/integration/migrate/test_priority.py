"""Migration 0003 on a database in use: what is there is of normal priority, and a broken attempt is repeated."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from functions.migrate.migrate import upgrade
from orders.db import Credentials, Database
from tests.support.factories import execute, rows

WRITE_ORDER = """
    INSERT INTO orders (id, user_id, currency, total_amount, payment_method, contact_email, locale, correlation_id)
    VALUES (:id, 'user', 'USD', 1, 'pm_card_visa', 'a@example.com', 'en', 'c')
"""
WRITE_EVENT = """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent) VALUES (:id, 'type', :id, '{}', 'c', 't')
"""


def test_the_statements_of_the_code_before_it_still_work_and_mean_normal(
    empty_database: Callable[[], Credentials],
) -> None:
    credentials = empty_database()
    upgrade(credentials, "0002")
    database = Database(lambda: credentials)
    for write in (WRITE_ORDER, WRITE_EVENT):
        execute(database, write, id=uuid4())
    assert upgrade(credentials, "0003") == "0003"
    for write in (WRITE_ORDER, WRITE_EVENT):
        execute(database, write, id=uuid4())
    for table in ("orders", "outbox"):
        assert rows(database, f"SELECT DISTINCT priority FROM {table}") == [{"priority": "normal"}]
        with pytest.raises(IntegrityError):
            execute(database, f"UPDATE {table} SET priority = 'urgent'")
    assert rows(database, "SELECT DISTINCT not_before FROM outbox") == [{"not_before": None}]
    database.engine.dispose()


def test_a_broken_attempt_is_repeated(empty_database: Callable[[], Credentials]) -> None:
    credentials = empty_database()
    upgrade(credentials, "0002")
    database = Database(lambda: credentials)
    execute(database, "ALTER TABLE orders ADD COLUMN priority text NOT NULL DEFAULT 'normal'")
    execute(
        database,
        "ALTER TABLE orders ADD CONSTRAINT orders_priority_known_check CHECK (priority <> '') NOT VALID",
    )
    execute(database, "CREATE INDEX outbox_due ON outbox (type)")
    execute(database, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'outbox_due'::regclass")
    assert upgrade(credentials, "0003") == "0003"
    (index,) = rows(database, "SELECT indexdef FROM pg_indexes WHERE indexname = 'outbox_due'")
    assert "(priority, available_at, id)" in index["indexdef"]
    assert rows(database, "SELECT conname FROM pg_constraint WHERE NOT convalidated") == []
    database.engine.dispose()
