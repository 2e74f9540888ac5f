"""Migrations run in every deploy: nothing to do is no error, two take turns, a failure leaves nothing behind."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from functions.migrate import handler, migrate
from functions.migrate.migrate import ORDERS, Chain, config, provider_chain, upgrade
from orders.db import Credentials, Database
from orders.payments.provider import PaymentProvider
from tests.integration.migrate.catalogue import catalogue, connected
from tests.support.api import lambda_context
from tests.support.factories import rows
from tests.support.logs import Logs
from tests.support.postgres import Server


@pytest.fixture
def head(credentials: Credentials) -> str:
    with connected(credentials) as connection:
        (head,) = ScriptDirectory.from_config(config(connection, ORDERS)).get_heads()
    return head


@pytest.mark.parametrize("chain", [ORDERS, *map(provider_chain, PaymentProvider)])
def test_migrations_are_one_line(credentials: Credentials, chain: Chain) -> None:
    with connected(credentials) as connection:
        revisions = list(ScriptDirectory.from_config(config(connection, chain)).walk_revisions())

    assert revisions
    assert [revision.down_revision for revision in revisions] == [
        *(revision.revision for revision in revisions[1:]),
        None,
    ]


def test_an_empty_database_is_brought_to_the_newest_revision(
    empty_database: Callable[[], Credentials], credentials: Credentials, head: str
) -> None:
    empty = empty_database()

    assert upgrade(empty, provider=PaymentProvider.SIMULATOR) == head
    assert catalogue(empty) == catalogue(credentials)


def test_a_second_run_changes_nothing(credentials: Credentials, head: str) -> None:
    before = catalogue(credentials)

    assert upgrade(credentials, provider=PaymentProvider.SIMULATOR) == head
    assert catalogue(credentials) == before


@pytest.mark.parametrize("chain", [ORDERS, provider_chain(PaymentProvider.SIMULATOR)])
def test_tables_of_a_later_release_stay_as_they_are(
    empty_database: Callable[[], Credentials], logs: Logs, chain: Chain | None
) -> None:
    """CloudFormation runs the migrations of the release before, when it rolls a deploy back."""
    assert chain
    ahead = empty_database()
    upgrade(ahead, provider=PaymentProvider.SIMULATOR)
    with connected(ahead) as connection:
        connection.execute(text(f"UPDATE {chain.version_table} SET version_num = '9999'"))
        connection.execute(text("ALTER TABLE orders ADD COLUMN of_the_next_release int"))
    before = catalogue(ahead)

    upgrade(ahead, provider=PaymentProvider.SIMULATOR)

    assert catalogue(ahead) == before
    with connected(ahead) as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {chain.version_table}")) == "9999"
    (warning,) = [line for line in logs.lines if line["level"] == "WARNING"]
    assert (warning["revision"], warning["version_table"]) == ("9999", chain.version_table)


def test_a_run_waits_for_another_one_however_long_that_takes(
    empty_database: Callable[[], Credentials], postgres_server: Server, head: str
) -> None:
    """Also for longer than the database lets a statement take."""
    empty = empty_database()
    postgres_server.administer(f"ALTER DATABASE {empty.dbname} SET statement_timeout = '200ms'")
    with ThreadPoolExecutor(1) as other_deploy, holding_the_lock(empty):
        waiting = other_deploy.submit(upgrade, empty)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=1)
        assert catalogue(empty) == {}
    assert waiting.result() == head


def test_a_migration_may_take_longer_than_a_functions_statement(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(config: Config, revision: str) -> None:
        seen.append(config.attributes["connection"].scalar(text("SHOW statement_timeout")))

    monkeypatch.setattr(command, "upgrade", look)
    upgrade(credentials)

    assert seen == ["0"]


def test_two_runs_at_once_both_succeed(empty_database: Callable[[], Credentials], head: str) -> None:
    empty = empty_database()

    with ThreadPoolExecutor(2) as deploys:
        assert list(deploys.map(upgrade, [empty, empty])) == [head, head]


def test_a_failed_migration_leaves_nothing_behind_and_lets_the_next_one_try(
    empty_database: Callable[[], Credentials], head: str
) -> None:
    empty = empty_database()
    with connected(empty) as connection:
        connection.execute(text("CREATE TABLE notifications (in_the_way int)"))

    with pytest.raises(DatabaseError):
        upgrade(empty)

    assert catalogue(empty).keys() == {"column notifications.in_the_way"}
    with connected(empty) as connection:
        connection.execute(text("DROP TABLE notifications"))
    assert upgrade(empty) == head


def test_a_migration_that_gives_way_to_the_functions_is_tried_again(
    empty_database: Callable[[], Credentials], monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    empty = empty_database()
    upgrade(empty, "0008")
    order = empty.connect()
    order.cursor().execute("LOCK TABLE order_rates")
    run, reached = command.upgrade, list[str | None]()

    def attempt(config: Config, revision: str) -> None:
        connection = config.attributes["connection"]
        reached.append(MigrationContext.configure(connection).get_current_revision())
        connection.commit()
        if len(reached) > 1:
            order.rollback()
        run(config, revision)

    monkeypatch.setattr(command, "upgrade", attempt)

    assert upgrade(empty) == head
    assert reached == ["0008", "0008"]
    order.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("statement_timeout", "5s"), ("lock_timeout", "4s"), ("idle_in_transaction_session_timeout", "10s")],
)
def test_the_databases_own_limits_reach_a_new_connection(
    empty_database: Callable[[], Credentials], setting: str, value: str
) -> None:
    empty = empty_database()
    upgrade(empty)
    database = Database(lambda: empty)

    assert rows(database, f"SHOW {setting}") == [{setting: value}]
    database.engine.dispose()


@contextmanager
def holding_the_lock(credentials: Credentials) -> Iterator[None]:
    """As a deploy that is at it."""
    connection = credentials.connect()
    connection.autocommit = True
    connection.cursor().execute("SELECT pg_advisory_lock(%s)", [migrate._ADVISORY_LOCK])
    try:
        yield
    finally:
        connection.close()


class TestTheFunction:
    def test_migrates_the_database_of_its_secret(
        self,
        empty_database: Callable[[], Credentials],
        credentials: Credentials,
        head: str,
        monkeypatch: pytest.MonkeyPatch,
        logs: Logs,
    ) -> None:
        empty = empty_database()
        monkeypatch.setattr(handler, "read_secret", lambda settings: empty)

        assert handler.handler({}, lambda_context()) == {"revision": head}
        assert catalogue(empty) == catalogue(credentials)
        assert logs.lines[-1]["revision"] == head

    def test_fails_when_a_migration_does_for_the_deploy_must_fail_too(
        self, empty_database: Callable[[], Credentials], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere = empty_database().model_copy(update={"dbname": "nowhere"})
        monkeypatch.setattr(handler, "read_secret", lambda settings: nowhere)

        with pytest.raises(DatabaseError):
            handler.handler({}, lambda_context())
