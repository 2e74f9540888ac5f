"""Runs Alembic, one deploy at a time: the orders' own migrations, then those of the payment provider."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.exc import DatabaseError

from orders.db import Credentials, sqlstate
from orders.payments.provider import PaymentProvider, migrations

_ADVISORY_LOCK: Final = 0x6F72646572  # "order"
_TURN_SECONDS: Final = 0.5
"""Between two looks whether another deploy has finished; what others get between two attempts, more each time."""
ATTEMPTS: Final = 5
_GAVE_WAY: Final = frozenset({"55P03", "40P01"})
"""Postgres's lock_not_available and deadlock_detected: a migration gives up rather than hold everybody up."""


@dataclass(frozen=True)
class Chain:
    """Migrations that follow each other, and the table that says how far a database is."""

    versions: Path
    version_table: str


ORDERS: Final = Chain(Path(__file__).parent / "versions", "alembic_version")


def provider_chain(provider: PaymentProvider) -> Chain | None:
    """The migrations of the provider's own tables, if it has any here.

    They have a version table of their own. The `migrate` of an earlier release, in a deploy that is rolled back, would
    not know a revision of theirs.
    """
    versions = migrations(provider)
    return Chain(versions, f"{provider.package}_version") if versions else None


def upgrade(
    credentials: Credentials, revision: str = "head", *, provider: PaymentProvider | None = None
) -> str | None:
    """Migrates the orders' tables to `revision`, and the provider's to their newest one.

    A second run at the same time waits for the first. What a later release has migrated stays as it is: a deploy that
    is rolled back runs the release before once more, whose code works on the newer tables too. Returns the revision of
    the orders' tables.
    """
    # No socket timeout: a migration takes as long as it takes.
    engine = create_engine(
        "postgresql+pg8000://", creator=lambda: credentials.connect(timeout=None), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        # A migration takes as long as it takes; the database's own limit is for the functions.
        connection.execute(text("SET statement_timeout = 0"))
        _wait_for_turn(connection)
        connection.commit()
        try:
            _upgrade(connection, ORDERS, revision)
            if provider and (chain := provider_chain(provider)):
                _upgrade(connection, chain, "head")
            return _current_revision(connection, ORDERS)
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()


def _upgrade(connection: Connection, chain: Chain, revision: str) -> None:
    settings = config(connection, chain)
    current = _current_revision(connection, chain)
    # Alembic commits only the transactions that it begins, and a look at a revision leaves one open.
    connection.commit()
    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if current is None or current in known:
        _repeat(connection, settings, revision)
        return
    # Here, since it reads a function's environment when it is imported, and tools migrate too.
    from orders.observability import logger

    logger.warning(
        "A later release has migrated the tables", revision=current, version_table=chain.version_table
    )


def _repeat(connection: Connection, settings: Config, revision: str) -> None:
    """Goes on from the last migration that succeeded, when the next one had to give way to the functions' work."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            command.upgrade(settings, revision)
        except DatabaseError as error:
            if sqlstate(error) not in _GAVE_WAY or attempt == ATTEMPTS:
                raise
            connection.rollback()
            connection.execute(text("RESET lock_timeout"))
            connection.commit()
            # Whoever has queued behind it goes first, and what it met may be over then.
            time.sleep(attempt * _TURN_SECONDS)
        else:
            return


def _current_revision(connection: Connection, chain: Chain) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": chain.version_table}
    ).get_current_revision()


def _wait_for_turn(connection: Connection) -> None:
    # By asking again and again: a statement that waits keeps its snapshot, and an index that the other deploy builds
    # concurrently waits for old snapshots to go: a deadlock.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
        connection.commit()
        time.sleep(_TURN_SECONDS)


def config(connection: Connection, chain: Chain) -> Config:
    """Alembic's configuration, without an ini file: `env.py` takes the connection from it."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.set_main_option("path_separator", "newline")
    settings.set_main_option("version_locations", str(chain.versions))
    settings.attributes.update(connection=connection, version_table=chain.version_table)
    return settings
