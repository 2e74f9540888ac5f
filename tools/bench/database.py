"""The Postgres that is measured: the local cloud's own kind, in a home of the benchmarks', with a database a size."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pg8000.native

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider
from tools.cloud import cloud, postgres
from tools.cloud.settings import Settings


@dataclass(frozen=True)
class Server:
    """A running server."""

    settings: Settings

    @classmethod
    @contextlib.contextmanager
    def running(cls, settings: Settings) -> Iterator["Server"]:
        """A new server, stopped and removed at the end: its data would be gigabytes of made-up orders."""
        postgres.start(settings)
        try:
            yield cls(settings)
        finally:
            cloud.down(settings, lambda line: None)
            shutil.rmtree(settings.home / "postgres")

    def create(self, name: str) -> "Database":
        """A new database, migrated."""
        with postgres.connect(self.settings, postgres.SUPERUSER, "postgres") as connection:
            connection.run(f"CREATE DATABASE {name} OWNER {postgres.OWNER}")
        secret = postgres.credentials(self.settings) | {"dbname": name}
        database = Database(Credentials.model_validate(secret))
        upgrade(database.credentials, provider=PaymentProvider.SIMULATOR)
        return database


@dataclass(frozen=True)
class Database:
    """One database, as the functions reach it and as its superuser does."""

    credentials: Credentials

    @contextlib.contextmanager
    def administer(self) -> Iterator[pg8000.native.Connection]:
        """A superuser's connection that may take its time."""
        socket = f"{self.credentials.host}/.s.PGSQL.{self.credentials.port}"
        connection = pg8000.native.Connection(
            postgres.SUPERUSER, database=self.credentials.dbname, unix_sock=socket
        )
        try:
            connection.run("SET statement_timeout = 0; SET lock_timeout = 0")
            yield connection
        finally:
            connection.close()
