"""Migration 0002 on a database that is in use: the code before it goes on, and a broken attempt can be repeated."""

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from functions.migrate import migrate
from functions.migrate.migrate import upgrade
from orders.db import Credentials, Database
from orders.ids import uuid7
from tests.integration.maintenance.support import wait_for_a_lock
from tests.support.factories import execute, rows
from tests.support.postgres import Server

INDEXES = {
    "idempotency_keys_by_age",
    "orders_unfinished",
    "outbox_order_created",
    "payments_undecided",
    "reservations_expiring",
    "stock_low",
}
WRITE_ORDER = """
    INSERT INTO orders (id, user_id, currency, total_amount, payment_method, contact_email, locale, correlation_id)
    VALUES (:id, 'user', 'USD', 1, 'pm_card_visa', 'a@example.com', 'en', 'c')
"""


@pytest.fixture
def before(postgres_server: Server) -> Iterator[Credentials]:
    """A database as the migration before left it."""
    name = f"test_{uuid4().hex}"
    postgres_server.administer(f"CREATE DATABASE {name}")
    credentials = postgres_server.credentials(name)
    assert upgrade(credentials, "0001") == "0001"
    yield credentials
    postgres_server.administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def connect(before: Credentials) -> Iterator[Callable[[], Database]]:
    """A process of the code before it."""
    databases: list[Database] = []

    def connect() -> Database:
        databases.append(Database(lambda: before))
        return databases[-1]

    yield connect
    for database in databases:
        database.engine.dispose()


def revision(database: Database) -> str:
    (row,) = rows(database, "SELECT version_num FROM alembic_version")
    return str(row["version_num"])


def valid_indexes(database: Database) -> set[str]:
    found = rows(
        database, "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indisvalid AND indisready"
    )
    return {row["name"] for row in found} & INDEXES


def test_it_adds_its_tables_and_valid_indexes(before: Credentials, connect: Callable[[], Database]) -> None:
    assert upgrade(before, "0002") == "0002"
    assert valid_indexes(connect()) == INDEXES
    # A second deploy finds nothing to do.
    assert upgrade(before, "0002") == "0002"


def test_the_statements_of_the_code_before_it_still_work(
    before: Credentials, connect: Callable[[], Database]
) -> None:
    upgrade(before, "0002")
    database = connect()
    product_id = uuid7()
    execute(
        database,
        "INSERT INTO products (id, name, unit_price, currency) VALUES (:id, 'Tea', 1, 'USD')",
        id=product_id,
    )
    execute(database, "INSERT INTO stock (product_id, stocked, available) VALUES (:id, 5, 5)", id=product_id)
    execute(database, WRITE_ORDER, id=uuid7())
    assert rows(database, "SELECT low_stock_threshold, low_since FROM stock") == [
        {"low_stock_threshold": 10, "low_since": None}
    ]


def test_writers_go_on_while_the_indexes_are_built(
    before: Credentials, connect: Callable[[], Database]
) -> None:
    """A build waits for the transactions before it, and nobody waits for the build."""
    earlier, later = connect(), connect()
    with earlier.engine.begin() as open_transaction:
        open_transaction.execute(text(WRITE_ORDER), {"id": uuid7()})
        migration = threading.Thread(target=upgrade, args=(before, "0002"))
        migration.start()
        wait_for_a_lock(later)
        begun = time.monotonic()
        execute(later, WRITE_ORDER, id=uuid7())
        assert time.monotonic() - begun < 1
        assert migration.is_alive()
    migration.join()
    assert valid_indexes(later) == INDEXES


def test_it_gives_up_rather_than_make_everybody_wait_behind_it_and_can_be_repeated(
    before: Credentials, connect: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "ATTEMPTS", 1)
    busy, other = connect(), connect()
    with busy.engine.begin() as open_transaction:
        open_transaction.execute(text("LOCK TABLE stock IN ROW EXCLUSIVE MODE"))
        begun = time.monotonic()
        with pytest.raises(DatabaseError) as raised:
            upgrade(before, "0002")
        assert time.monotonic() - begun < 10
        assert raised.value.orig is not None
        assert raised.value.orig.args[0]["C"] == "55P03"
    assert revision(other) == "0001"
    assert rows(other, "SELECT * FROM pg_tables WHERE tablename = 'repairs'") == []
    assert upgrade(before, "0002") == "0002"
    assert valid_indexes(other) == INDEXES


def test_an_invalid_index_that_a_broken_attempt_has_left_is_replaced(
    before: Credentials, connect: Callable[[], Database]
) -> None:
    database = connect()
    execute(database, "CREATE INDEX orders_unfinished ON orders (user_id)")
    execute(
        database, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_unfinished'::regclass"
    )
    upgrade(before, "0002")
    (index,) = rows(database, "SELECT indexdef FROM pg_indexes WHERE indexname = 'orders_unfinished'")
    assert "(updated_at)" in index["indexdef"]
    assert valid_indexes(database) == INDEXES


def test_the_migrations_limits_do_not_outlive_it(
    before: Credentials, connect: Callable[[], Database]
) -> None:
    upgrade(before, "0002")
    database = connect()
    assert rows(database, "SHOW lock_timeout") == [{"lock_timeout": "4s"}]
    assert rows(database, "SHOW statement_timeout") == [{"statement_timeout": "5s"}]
