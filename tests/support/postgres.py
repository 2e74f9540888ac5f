"""A real Postgres for tests: one server a process, migrated once, a fresh copy of the database a test."""

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pg8000.native
import psutil

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider
from tools.cloud import postgres
from tools.cloud.settings import Settings

_TEMPLATE: Final = "orders_template"
_PREFIX: Final = "orders-pg-"
_IN_MEMORY: Final = Path("/dev/shm")
_MEMORY_NEEDED: Final = 4 * 1024**3
"""Bytes for a server with the largest database (a million orders), its copies and a sort; twice, for two workers."""
_NEW_SECONDS: Final = 60
_HASTY: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    # No autovacuum while a test looks at plans, and none for tables of ten rows. Statistics are taken by hand.
    "autovacuum": "off",
    "file_copy_method": "clone",
    # Of a log that nobody replays; a gigabyte otherwise.
    "max_wal_size": "256MB",
}
"""What a server that is thrown away does without. Nothing in it survives a power failure, or its own crash."""


class Server:
    """A Postgres server with a migrated template database."""

    def __init__(self, home: Path, *, durable: bool = False) -> None:
        self._settings = Settings(home, endpoint_url="", port=None, inherited={})
        self.socket_directory = str(postgres.socket_directory(self._settings))
        self.recover()
        if not durable:
            for name, value in _HASTY.items():
                self.administer(f"ALTER SYSTEM SET {name} = '{value}'")
            self.administer("SELECT pg_reload_conf()")
        self.administer(f"CREATE DATABASE {_TEMPLATE}")
        upgrade(self.credentials(_TEMPLATE), provider=PaymentProvider.SIMULATOR)

    @classmethod
    @contextlib.contextmanager
    def running(cls, *, durable: bool = False) -> Iterator["Server"]:
        """A new server, removed at the end.

        A durable one has Postgres's own settings, so that a commit that was acknowledged outlives a crash.
        """
        with _home() as home:
            server = cls(home, durable=durable)
            try:
                yield server
            finally:
                server._administrator.close()
                postgres.stop(server._settings)

    def credentials(self, database: str) -> Credentials:
        return Credentials(
            username=postgres.SUPERUSER,
            password="",
            host=self.socket_directory,
            port=postgres.PORT,
            dbname=database,
        )

    def crash(self) -> None:
        """Ends every server process at once, as a crash does: nothing is finished, nothing is said to clients."""
        postmaster = postgres.daemon(self._settings).find()
        assert postmaster is not None, "it is running"
        self._administrator.close()
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(timeout=10)

    def recover(self) -> None:
        """Starts the server, again if it crashed; then it replays its log."""
        postgres.start(self._settings)
        # Kept, since a connection costs as much as what is asked over it.
        self._administrator = pg8000.native.Connection(
            postgres.SUPERUSER,
            database="postgres",
            unix_sock=f"{self.socket_directory}/.s.PGSQL.{postgres.PORT}",
        )

    def administer(self, statement: str) -> list[Any]:
        """Runs one statement outside any test database, e.g. to create one."""
        return self._administrator.run(statement) or []

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[Credentials]:
        """A copy of the migrated template; 20 ms or so."""
        name = f"test_{uuid4().hex}"
        # Copies files; the other strategy, through the log, takes twice as long.
        self.administer(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
        # A copy leaves behind what was set for the template with ALTER DATABASE.
        self.administer(
            "INSERT INTO pg_db_role_setting SELECT copy.oid, setrole, setconfig FROM pg_db_role_setting "
            "JOIN pg_database AS template ON template.oid = setdatabase, pg_database AS copy "
            f"WHERE template.datname = '{_TEMPLATE}' AND copy.datname = '{name}'"
        )
        try:
            yield self.credentials(name)
        finally:
            self.administer(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """A directory that is removed at the end; the next run removes what a killed one left.

    In memory where there is enough of it: a database is 300 files, which a disk's file system makes ten times slower.
    """
    parent = Path(tempfile.gettempdir())
    if _IN_MEMORY.is_dir() and _free_memory() > _MEMORY_NEEDED:
        parent = _IN_MEMORY
    for left_behind in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            # A new one may not be locked yet.
            if time.time() - left_behind.stat().st_mtime > _NEW_SECONDS:
                with _locked(left_behind):
                    shutil.rmtree(left_behind)  # a server that still runs on it ends when it misses its files
    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as directory,
        _locked(Path(directory)),
    ):
        yield Path(directory)


def _free_memory() -> int:
    return min(psutil.disk_usage(str(_IN_MEMORY)).free, psutil.virtual_memory().available)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Holds a directory until this process ends, however it does. Raises OSError if another one holds it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
