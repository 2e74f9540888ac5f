"""Over a network the database is spoken to in TLS, with the server it claims to be, or not at all."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pg8000.dbapi import InterfaceError

from orders import db, driver
from orders.db import Credentials

REMOTE = Credentials(username="orders", password="s3cr3t", host="127.0.0.1", port=5432, dbname="orders")
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def test_a_server_without_tls_is_told_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:

        def answer_no() -> bytes:
            client, _ = server.accept()
            with client:
                asked = client.recv(1024)
                client.sendall(b"N")
                return asked + client.recv(1024)

        heard = thread.submit(answer_no)
        with pytest.raises(InterfaceError):
            REMOTE.model_copy(update={"port": server.getsockname()[1]}).connect()

    assert heard.result() == SSL_REQUEST


def test_the_servers_certificate_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Connection(driver.Connection):
        def __init__(self, **parameters: Any) -> None:
            asked.update(parameters)

        def wait_at_most(self, seconds: float | None) -> None:
            asked["wait"] = seconds

    monkeypatch.setattr(driver, "Connection", Connection)
    REMOTE.connect()

    assert asked["ssl_context"].verify_mode == ssl.CERT_REQUIRED
    assert asked["ssl_context"].check_hostname
    assert (asked["host"], asked["port"]) == ("127.0.0.1", 5432)
    assert (asked["timeout"], asked["wait"]) == (db.CONNECT_TIMEOUT_SECONDS, db.SOCKET_TIMEOUT_SECONDS)


def test_only_a_migration_waits_for_ever(credentials: Credentials) -> None:
    patient, usual = credentials.connect(timeout=None), credentials.connect()

    assert patient._usock.gettimeout() is None
    assert usual._usock.gettimeout() == db.SOCKET_TIMEOUT_SECONDS
    for connection in (patient, usual):
        connection.close()


def test_a_server_that_is_gone_before_it_is_greeted_leaves_no_socket_open() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()

    with pytest.raises(InterfaceError):
        driver.Connection(user="orders", sock=ours, ssl_context=False)

    assert ours.fileno() == -1
