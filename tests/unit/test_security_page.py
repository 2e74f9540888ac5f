"""docs/security.md says of every column of the database whether it is personal data."""

import re
from collections import Counter
from typing import Final

import pytest

from functions.maintenance.retention import (
    IDEMPOTENCY_RETENTION,
    INBOX_RETENTION,
    OUTBOX_RETENTION,
    WEBHOOK_RETENTION,
)
from functions.maintenance.settings import MIN_CONTACT_RETENTION_DAYS
from infra.stages import STAGES
from orders import erasure
from tests.support import simulator_tables, stripe_tables, tables
from tests.support.named_tests import ROOT

PAGE: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TABLES: Final = {
    table.fullname: table
    for metadata in (tables.metadata, simulator_tables.metadata, stripe_tables.metadata)
    for table in metadata.sorted_tables
}

_ROW: Final = re.compile(r"^\| `([a-z_.]+)` \|(.*)\|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_NAME: Final = re.compile(r"`([a-z_]+)`")

CLASSES: Final = {name: [_NAME.findall(cell) for cell in cells[:3]] for name, *cells in _ROW.findall(PAGE)}
"""Of each table the columns that are personal, that lead to a person, and the others."""


def test_every_table_is_on_the_page() -> None:
    assert CLASSES.keys() == TABLES.keys()


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_one_class(table: str) -> None:
    named = Counter(column for columns in CLASSES.get(table, []) for column in columns)

    assert named == Counter(column.name for column in TABLES[table].columns)


@pytest.mark.parametrize("table", [name for name, (personal, *_) in CLASSES.items() if personal])
def test_what_is_personal_is_erased(table: str) -> None:
    """By setting it to NULL, or with its row."""
    personal, *_ = CLASSES[table]
    statements = [" ".join(statement.split()) for statement in (*erasure._OF_ORDERS, *erasure._OF_CUSTOMER)]
    deletes = any(statement.startswith(f"DELETE FROM {table} ") for statement in statements)
    sets = {
        column
        for statement in statements
        if statement.startswith(f"UPDATE {table} ")
        for column in re.findall(r"(\w+) = NULL", statement)
    }

    assert deletes or set(personal) <= sets


@pytest.mark.parametrize(
    ("table", "days"),
    [
        ("orders", {stage.contact_retention_days for stage in STAGES.values()}),
        ("outbox", {OUTBOX_RETENTION.days}),
        ("inbox", {INBOX_RETENTION.days}),
        ("idempotency_keys", {IDEMPOTENCY_RETENTION.days}),
        ("webhook_deliveries", {WEBHOOK_RETENTION.days}),
    ],
)
def test_the_page_names_the_retention_that_there_is(table: str, days: set[int]) -> None:
    kept = next(cells[3] for name, *cells in _ROW.findall(PAGE) if name == table)

    assert {int(found) for found in re.findall(r"(\d+) days", kept)} == days


def test_fingerprints_are_gone_before_the_contact_data_of_their_orders() -> None:
    assert IDEMPOTENCY_RETENTION.days <= MIN_CONTACT_RETENTION_DAYS
