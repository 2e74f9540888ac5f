"""Runs Alembic over `versions/`, one deploy at a time."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, pool, text

from orders.db import Credentials

_ADVISORY_LOCK: Final = 0x6F72646572  # "order"


def upgrade(credentials: Credentials, revision: str = "head") -> str | None:
    """Migrates to `revision` and answers the revision reached. A second run at the same time waits for the first."""
    # No socket timeout: a migration takes as long as it takes.
    engine = create_engine(
        "postgresql+pg8000://", creator=lambda: credentials.connect(timeout=None), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.commit()
        try:
            command.upgrade(config(connection), revision)
            return MigrationContext.configure(connection).get_current_revision()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()


def config(connection: Connection) -> Config:
    """Alembic's configuration, without an ini file: `env.py` takes the connection from it."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.attributes["connection"] = connection
    return settings
