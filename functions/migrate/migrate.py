"""Runs Alembic over `versions/`, one deploy at a time."""

import time
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, pool, text

from orders.db import Credentials

_ADVISORY_LOCK: Final = 0x6F72646572  # "order"
_TURN_SECONDS: Final = 0.5
"""Between two looks whether another deploy has finished."""


def upgrade(credentials: Credentials, revision: str = "head") -> str | None:
    """Migrates to `revision` and answers the revision reached. A second run at the same time waits for the first."""
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
            command.upgrade(config(connection), revision)
            return MigrationContext.configure(connection).get_current_revision()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()


def _wait_for_turn(connection: Connection) -> None:
    # By asking again and again: a statement that waits keeps its snapshot, and an index that the other deploy builds
    # concurrently waits for old snapshots to go: a deadlock.
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _ADVISORY_LOCK}):
        connection.commit()
        time.sleep(_TURN_SECONDS)


def config(connection: Connection) -> Config:
    """Alembic's configuration, without an ini file: `env.py` takes the connection from it."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.attributes["connection"] = connection
    return settings
