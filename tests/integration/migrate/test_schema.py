"""Trap T11: the migrated database and the declared tables are the same. Migrations are the only source of tables."""

from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, text

from orders.db import Credentials
from tests.integration.migrate.catalogue import catalogue, connected
from tests.support import simulator_tables, tables

DECLARED = MetaData(naming_convention=tables.metadata.naming_convention)
for metadata in (tables.metadata, simulator_tables.metadata):
    for table in metadata.sorted_tables:
        table.to_metadata(DECLARED)


@pytest.fixture
def from_tables(empty_database: Callable[[], Credentials]) -> Credentials:
    """A database made from the declared tables, which nothing but this comparison does."""
    credentials = empty_database()
    with connected(credentials) as connection:
        connection.execute(text(f"CREATE SCHEMA {simulator_tables.SCHEMA}"))
        DECLARED.create_all(connection)
    return credentials


def test_alembic_finds_nothing_to_migrate(credentials: Credentials) -> None:
    with connected(credentials) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_schemas": True,
                "include_object": lambda thing, name, *rest: name != "payment_simulator_version",
            },
        )

        assert compare_metadata(context, DECLARED) == []


def test_columns_constraints_and_indexes_are_the_same_by_name_and_definition(
    credentials: Credentials, from_tables: Credentials
) -> None:
    """Also what Alembic does not look at: checks, conditions of indexes, keys' names."""
    migrated, declared = catalogue(credentials), catalogue(from_tables)

    assert migrated.keys() == declared.keys()
    assert migrated == declared


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE orders DROP COLUMN failure_reason",
        "ALTER TABLE orders ADD COLUMN forgotten int",
        "ALTER TABLE orders ALTER COLUMN total_amount TYPE int",
        "ALTER TABLE orders ALTER COLUMN user_id DROP NOT NULL",
        "ALTER TABLE orders ALTER COLUMN status DROP DEFAULT",
        "ALTER TABLE stock DROP CONSTRAINT stock_adds_up_check",
        "ALTER TABLE stock RENAME CONSTRAINT stock_adds_up_check TO other",
        "ALTER TABLE orders ADD CONSTRAINT forgotten CHECK (true)",
        "ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey",
        "ALTER TABLE order_items DROP CONSTRAINT order_items_order_id_product_id_key",
        "DROP INDEX outbox_due",
        "DROP INDEX outbox_due; CREATE INDEX outbox_due ON outbox (priority, available_at, id)",
        "CREATE INDEX forgotten ON orders (status)",
        "ALTER TABLE gateway.entries DROP CONSTRAINT entries_kind_known_check",
        "DROP TABLE notifications",
    ],
)
def test_the_comparison_sees_each_kind_of_difference(
    credentials: Credentials, from_tables: Credentials, change: str
) -> None:
    with connected(from_tables) as connection:
        for statement in change.split(";"):
            connection.execute(text(statement))

    assert catalogue(credentials) != catalogue(from_tables)
