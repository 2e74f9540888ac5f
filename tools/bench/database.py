"""The Postgres that is measured: the local cloud's, with a database for each size."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pg8000.native

from functions.migrate.migrate import upgrade
from orders.db import Credentials
from orders.payments.provider import PaymentProvider
from tools.cloud import local_cloud, postgres
from tools.cloud.settings import Settings
from tools.postgres_proxy import socket_path


@dataclass(frozen=True)
class BenchServer:
    """A running server."""

    settings: Settings

    @classmethod
    @contextlib.contextmanager
    def running(cls, settings: Settings) -> Iterator["BenchServer"]:
        """A new server, stopped and removed at the end: its data would be gigabytes of made-up orders."""
        postgres.start(settings)
        try:
            yield cls(settings)
        finally:
            local_cloud.down(settings, lambda line: None)
            shutil.rmtree(settings.home / "postgres")

    def create(self, name: str) -> "BenchDatabase":
        """A new database, migrated."""
        with postgres.connect(self.settings, postgres.SUPERUSER, "postgres") as connection:
            connection.run(f"CREATE DATABASE {name} OWNER {postgres.OWNER}")
        secret = postgres.credentials(self.settings) | {"dbname": name}
        database = BenchDatabase(Credentials.model_validate(secret))
        upgrade(database.credentials, provider=PaymentProvider.SIMULATOR)
        return database


@dataclass(frozen=True)
class BenchDatabase:
    """One database, as the functions reach it and as its superuser does."""

    credentials: Credentials

    @contextlib.contextmanager
    def administer(self) -> Iterator[pg8000.native.Connection]:
        """A superuser's connection that may take its time."""
        connection = pg8000.native.Connection(
            postgres.SUPERUSER, database=self.credentials.dbname, unix_sock=socket_path(self.credentials)
        )
        try:
            connection.run("SET statement_timeout = 0; SET lock_timeout = 0")
            yield connection
        finally:
            connection.close()
