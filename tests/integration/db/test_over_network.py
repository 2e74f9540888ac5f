"""The functions' connections as on AWS: TLS and SCRAM over TCP, to Postgres itself and through a pooler.

The pooler is PgBouncer in transaction mode: a client has a server's connection for one transaction only, and all of
them share one here. RDS Proxy does the same until a client does what pins it to a connection.
"""

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pg8000.native
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from orders import driver
from orders.db import Credentials, Database, sqlstate
from tests.support import pgbouncer, tls_front
from tests.support.certificates import Authority
from tests.support.postgres import Server
from tools.cloud import postgres
from tools.cloud.settings import Settings

HOST = "localhost"
USER, PASSWORD = "network_user", "s3cr3t with spaces"
PID = text("SELECT pg_backend_pid()")
INSERT = text("INSERT INTO inbox VALUES ('consumer', :id)")
IS_THERE = text("SELECT count(*) FROM inbox WHERE event_id = :id")


@dataclass(frozen=True)
class Network:
    """A Postgres over TCP, by TLS and with a password that SCRAM asks for."""

    server: Server
    directory: Path
    authority: Path
    """What its certificate is signed by."""
    other_authority: Path
    port: int
    account: tuple[int, int]


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with (
        tempfile.TemporaryDirectory(prefix="orders-tls-", dir="/tmp") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        directory = Path(name)
        directory.chmod(0o755)
        # As the local Postgres does: whoever runs it owns what it reads.
        account = postgres._account(Settings(directory, endpoint_url="", port=None, inherited={}))
        Authority.new("Another authority").write(directory / "other.pem")
        authority = Authority.new("The test's authority")
        authority.write(directory / "ca.pem")
        authority.issue(HOST, directory / "server.pem", directory / "server.key")
        (directory / "hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        (directory / "users.txt").write_text(f'"{USER}" "{PASSWORD}"\n')
        for path in directory.iterdir():
            os.chown(path, *account)
        port = free_port()
        command = postgres._command
        options = {
            "listen_addresses": "127.0.0.1",
            "hba_file": str(directory / "hba.conf"),
            "password_encryption": "scram-sha-256",
        }
        patch.setattr(postgres, "PORT", port)
        patch.setattr(
            postgres,
            "_command",
            lambda settings: [
                *command(settings),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
        )
        with (
            Server.running() as server,
            tls_front.running(HOST, port, directory / "server.pem", directory / "server.key") as front,
        ):
            server.administer(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_write_all_data")
            server.administer(f"GRANT pg_read_all_data TO {USER}")
            yield Network(server, directory, directory / "ca.pem", directory / "other.pem", front, account)


@pytest.fixture(autouse=True)
def trust(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process trusts what signs the server, as Lambda's trusts Amazon's roots."""
    monkeypatch.setenv("SSL_CERT_FILE", str(network.authority))
    monkeypatch.setenv("SSL_CERT_DIR", str(network.directory / "none"))


@pytest.fixture
def direct(network: Network) -> Iterator[Credentials]:
    """A fresh database, by Postgres's own port."""
    with network.server.fresh_database() as local:
        yield Credentials(username=USER, password=PASSWORD, host=HOST, port=network.port, dbname=local.dbname)


@pytest.fixture
def pooled(network: Network, direct: Credentials) -> Iterator[Credentials]:
    """The same database through the pooler, which has one connection to it."""
    options = {
        "database": f"host={HOST} port={network.port}",
        "pool_mode": "transaction",
        "default_pool_size": "1",
        "auth_type": "scram-sha-256",
        "auth_file": str(network.directory / "users.txt"),
        "client_tls_sslmode": "require",
        "client_tls_cert_file": str(network.directory / "server.pem"),
        "client_tls_key_file": str(network.directory / "server.key"),
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": str(network.authority),
    }
    with pgbouncer.running(network.directory, options, network.account) as port:
        yield direct.model_copy(update={"port": port})


@pytest.fixture(params=["direct", "pooled"])
def remote(request: pytest.FixtureRequest) -> Credentials:
    """Both ways to the database."""
    found: Credentials = request.getfixturevalue(request.param)
    return found


@contextlib.contextmanager
def database_at(credentials: Credentials, renewed: Credentials | None = None) -> Iterator[Database]:
    database = Database(lambda: credentials, (lambda: renewed) if renewed else None)
    try:
        yield database
    finally:
        database.engine.dispose()


def test_functions_speak_tls_and_scram(network: Network, direct: Credentials) -> None:
    kept = network.server.administer(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{USER}'")
    connection = direct.connect()
    assert isinstance(connection._usock, ssl.SSLSocket)
    version = connection._usock.version()
    connection.close()

    assert version == "TLSv1.3"
    assert kept[0][0].startswith("SCRAM-SHA-256$")


def test_a_unit_of_work_is_committed(remote: Credentials) -> None:
    event = uuid4()
    with database_at(remote) as database:
        database.transact(lambda connection: connection.execute(INSERT, {"id": event}))
        there = database.transact_alone(lambda connection: connection.scalar(IS_THERE, {"id": event}))
    assert there == 1


def test_a_server_of_another_authority_is_refused(
    network: Network, remote: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(network.other_authority))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        remote.connect()


def test_a_server_that_is_not_the_one_it_claims_to_be_is_refused(remote: Credentials) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        remote.model_copy(update={"host": "127.0.0.1"}).connect()


def test_a_wrong_password_is_refused(direct: Credentials) -> None:
    with pytest.raises(driver.DatabaseError) as refused:
        direct.model_copy(update={"password": "another"}).connect()
    assert sqlstate(refused.value) == "28P01"


def test_a_wrong_password_is_refused_by_the_pooler(pooled: Credentials) -> None:
    with pytest.raises(driver.DatabaseError) as refused:
        pooled.model_copy(update={"password": "another"}).connect()
    assert str(sqlstate(refused.value)).startswith(("08", "28"))


def test_a_password_that_was_rotated_is_read_again(direct: Credentials) -> None:
    earlier = direct.model_copy(update={"password": "the earlier one"})
    with database_at(earlier, direct) as database:
        assert database.transact(lambda connection: connection.scalar(text("SELECT 1"))) == 1


def test_clients_share_the_poolers_connection(pooled: Credentials) -> None:
    """Else the tests below would show nothing of transaction mode."""
    with database_at(pooled) as one, database_at(pooled) as other:
        pids = {database.transact(lambda connection: connection.scalar(PID)) for database in (one, other) * 2}
        assert len(pids) == 1


def test_statements_with_parameters_depend_on_no_connection(pooled: Credentials) -> None:
    """They are unnamed and parsed each time: clients with the same statements do not meet, whatever comes between."""
    events = [uuid4() for _ in range(20)]
    with database_at(pooled) as one, database_at(pooled) as other:
        for number, event in enumerate(events):
            database = (one, other)[number % 2]

            def work(connection: Connection, event: UUID = event) -> Any:
                connection.execute(INSERT, {"id": event})
                return connection.scalar(IS_THERE, {"id": event})

            assert database.transact(work) == 1
        alone = [
            database.transact_alone(lambda connection: connection.scalar(IS_THERE, {"id": events[0]}))
            for database in (one, other) * 2
        ]
    assert alone == [1] * 4


def test_a_named_statement_is_met_by_another_client(pooled: Credentials) -> None:
    """What the driver does by itself for a prepared statement, and ours never does."""
    context = ssl.create_default_context()
    clients = [
        pg8000.native.Connection(
            USER,
            host=HOST,
            port=pooled.port,
            database=pooled.dbname,
            password=PASSWORD,
            ssl_context=context,
        )
        for _ in range(2)
    ]
    try:
        clients[0].prepare("SELECT :value + 1").run(value=1)
        with pytest.raises(pg8000.native.DatabaseError, match="already exists"):
            clients[1].prepare("SELECT :value + 1").run(value=1)
    finally:
        for client in clients:
            with contextlib.suppress(pg8000.native.InterfaceError):
                client.close()


def test_work_is_run_again_when_the_connection_is_lost(network: Network, remote: Credentials) -> None:
    event, pids = uuid4(), []

    def work(connection: Connection) -> Any:
        connection.execute(INSERT, {"id": event})
        pids.append(connection.scalar(PID))
        if len(pids) == 1:
            network.server.administer(f"SELECT pg_terminate_backend({pids[0]}, 5000)")
        return connection.scalar(IS_THERE, {"id": event})

    with database_at(remote) as database:
        assert database.transact(work) == 1
        assert database.transact(lambda connection: connection.scalar(IS_THERE, {"id": event})) == 1
    assert len(set(pids)) == 2


def test_a_failed_transaction_leaves_nothing_to_the_next_client(pooled: Credentials) -> None:
    event = uuid4()
    with database_at(pooled) as one, database_at(pooled) as other:

        def fail(connection: Connection) -> None:
            connection.execute(INSERT, {"id": event})
            connection.execute(text("SELECT 1 / :zero"), {"zero": 0})

        with pytest.raises(DBAPIError):
            one.transact(fail)
        assert other.transact(lambda connection: connection.scalar(IS_THERE, {"id": event})) == 0
