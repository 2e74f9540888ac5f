"""GET /health/…: alive means that the API answers, ready that an order could be taken."""

import time
from typing import Any

import pytest

from functions.read_orders import handler
from functions.read_orders.readiness import READY_SECONDS, Readiness
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


class Asked:
    """A database that remembers how often it was asked."""

    def __init__(self, database: Database) -> None:
        self.times = 0
        self._database = database

    def __getattr__(self, name: str) -> Any:
        self.times += name.startswith("transact")
        return getattr(self._database, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of a clock that a test sets."""
    now = [0.0]
    monkeypatch.setattr(handler, "readiness", Readiness(lambda: now[0]))
    return now


@pytest.mark.parametrize("is_up", [True, False])
def test_the_database_is_asked_once_in_a_few_seconds_however_often_anybody_asks_us(
    anyone: Client,
    credentials: Credentials,
    monkeypatch: pytest.MonkeyPatch,
    clock: list[float],
    is_up: bool,
) -> None:
    where = credentials if is_up else credentials.model_copy(update={"host": "/nowhere"})
    database = Database(lambda: where)
    asked = Asked(database)
    monkeypatch.setattr(handler, "database", asked)
    status = 200 if is_up else 503

    assert [anyone.get("/api/v1/health/ready").status for _ in range(20)] == [status] * 20
    clock[0] += READY_SECONDS - 0.1
    assert anyone.get("/api/v1/health/ready").status == status
    assert asked.times == 1

    clock[0] += 0.2
    assert anyone.get("/api/v1/health/ready").status == status
    assert asked.times == 2
    database.engine.dispose()


def test_the_answer_says_how_long_it_may_be_kept(anyone: Client) -> None:
    assert anyone.get("/api/v1/health/ready").headers["cache-control"] == f"public, max-age={READY_SECONDS}"


def test_it_is_not_ready_when_the_database_has_gone_since(
    anyone: Client, credentials: Credentials, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    where = [credentials]
    database = Database(lambda: where[0])
    monkeypatch.setattr(handler, "database", database)
    assert anyone.get("/api/v1/health/ready").status == 200

    database.engine.dispose()
    where[0] = credentials.model_copy(update={"host": "/nowhere"})
    clock[0] += READY_SECONDS
    assert anyone.get("/api/v1/health/ready").status == 503

    where[0] = credentials
    clock[0] += READY_SECONDS
    assert anyone.get("/api/v1/health/ready").status == 200
    database.engine.dispose()


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
