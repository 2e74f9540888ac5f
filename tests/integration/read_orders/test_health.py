"""GET /health/…: alive means that the API answers, ready that an order could be taken."""

import time

import pytest

from functions.read_orders import handler
from orders.db import Credentials, Database
from tests.support.api import Client
from tests.support.postgres import Server

API_TIMEOUT_SECONDS = 10


@pytest.fixture
def without_database(anyone: Client, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Client:
    nowhere = credentials.model_copy(update={"host": "/nowhere"})
    monkeypatch.setattr(handler, "database", Database(lambda: nowhere))
    return anyone


def test_it_is_alive_and_ready_while_the_database_answers(anyone: Client) -> None:
    live, ready = anyone.get("/api/v1/health/live"), anyone.get("/api/v1/health/ready")

    assert (live.status, live.json) == (200, {"status": "live"})
    assert (ready.status, ready.json) == (200, {"status": "ready"})


def test_it_is_not_ready_without_the_database(without_database: Client) -> None:
    started = time.monotonic()

    answer = without_database.get("/api/v1/health/ready")

    assert time.monotonic() - started < API_TIMEOUT_SECONDS
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "2"


def test_it_is_alive_without_the_database(without_database: Client) -> None:
    """Nothing would be won by ending a process because its database is away."""
    assert without_database.get("/api/v1/health/live").status == 200


def test_it_is_ready_again_as_soon_as_the_database_is(
    anyone: Client, credentials: Credentials, postgres_server: Server
) -> None:
    assert anyone.get("/api/v1/health/ready").status == 200
    postgres_server.administer(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{credentials.dbname}'"
    )

    assert anyone.get("/api/v1/health/ready").status == 200
