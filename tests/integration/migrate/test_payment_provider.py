"""The payment simulator's tables are migrated where it is the payment provider, and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from functions.migrate import handler
from functions.migrate.migrate import provider_chain, upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider
from tests.integration.migrate.catalogue import catalogue, connected
from tests.integration.migrate.earlier_ledger import make_earlier_ledger
from tests.integration.migrate.test_under_traffic import REVISIONS
from tests.support.api import lambda_context

VERSION_TABLES: Final = """
    SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE '%version' ORDER BY tablename
"""
SCHEMA: Final = "SELECT nspname FROM pg_namespace WHERE nspname = 'gateway'"
LEDGER: Final = """
    SELECT payments.key, payment_id, status, attempts, payments.amount, error, kind, entries.amount, entries.id
    FROM gateway.payments JOIN gateway.entries USING (key) ORDER BY entries.id
"""


def look(credentials: Credentials, query: str) -> list[tuple[object, ...]]:
    with connected(credentials) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def newest_of_simulator() -> str:
    chain = provider_chain(PaymentProvider.SIMULATOR)
    assert chain
    return max(path.name for path in chain.versions.glob("[0-9]*.py")).partition("_")[0]


def ledger_objects(credentials: Credentials) -> set[str]:
    return {name for name in catalogue(credentials) if " gateway." in name}


def test_a_new_database_without_the_simulator_has_nothing_of_it(
    empty_database: Callable[[], Credentials],
) -> None:
    credentials = empty_database()

    assert upgrade(credentials) == REVISIONS[-1]

    assert look(credentials, SCHEMA) == []
    assert look(credentials, VERSION_TABLES) == [("alembic_version",)]


def test_a_new_database_with_the_simulator_has_its_ledger(
    empty_database: Callable[[], Credentials],
) -> None:
    credentials = empty_database()

    assert upgrade(credentials, provider=PaymentProvider.SIMULATOR) == REVISIONS[-1]

    assert {"column gateway.payments.key", "column gateway.entries.kind"} <= ledger_objects(credentials)
    assert look(credentials, VERSION_TABLES) == [("alembic_version",), ("payment_simulator_version",)]
    # What the `migrate` of an earlier release, in a deploy that is rolled back, finds and understands.
    assert look(credentials, "SELECT version_num FROM alembic_version") == [(REVISIONS[-1],)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_ledger_of_an_earlier_release_is_taken_over_without_loss(
    empty_database: Callable[[], Credentials], credentials: Credentials, revision: str
) -> None:
    earlier = empty_database()
    upgrade(earlier, revision)
    make_earlier_ledger(earlier)
    before = look(earlier, LEDGER)

    upgrade(earlier, provider=PaymentProvider.SIMULATOR)

    assert look(earlier, LEDGER) == before != []
    assert catalogue(earlier) == catalogue(credentials)
    assert look(earlier, "SELECT version_num FROM payment_simulator_version") == [(newest_of_simulator(),)]
    # The next deploy finds nothing to do.
    upgrade(earlier, provider=PaymentProvider.SIMULATOR)
    assert look(earlier, LEDGER) == before


def test_the_ledger_of_an_earlier_release_stays_where_another_provider_is_chosen(
    empty_database: Callable[[], Credentials],
) -> None:
    earlier = empty_database()
    upgrade(earlier, REVISIONS[0])
    make_earlier_ledger(earlier)
    before = look(earlier, LEDGER)

    upgrade(earlier)

    assert look(earlier, LEDGER) == before != []


def test_a_failed_migration_of_the_provider_fails_the_deploy_and_the_next_one_may_try_again(
    empty_database: Callable[[], Credentials], credentials: Credentials
) -> None:
    empty = empty_database()
    with connected(empty) as connection:
        connection.execute(text("CREATE SCHEMA gateway"))
        connection.execute(text("CREATE TABLE gateway.in_the_way ()"))

    with pytest.raises(DatabaseError):
        upgrade(empty, provider=PaymentProvider.SIMULATOR)

    assert ledger_objects(empty) == set()
    with connected(empty) as connection:
        connection.execute(text("DROP SCHEMA gateway CASCADE"))
    upgrade(empty, provider=PaymentProvider.SIMULATOR)
    assert catalogue(empty) == catalogue(credentials)


def test_the_function_migrates_nothing_for_a_provider_without_tables(
    empty_database: Callable[[], Credentials], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "payment_paper").mkdir()
    (tmp_path / "payment_paper" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PaymentProvider, "package", "payment_paper")
    credentials = empty_database()
    monkeypatch.setattr(handler, "read_secret", lambda settings: credentials)

    assert handler.handler({}, lambda_context()) == {"revision": REVISIONS[-1]}

    assert look(credentials, SCHEMA) == []
    assert look(credentials, VERSION_TABLES) == [("alembic_version",)]
