"""The proxy in front of Postgres disturbs what it is told to, and is not noticed otherwise."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from orders.db import Credentials, Database
from tools.postgres_proxy import Disturbance, Loss, Moment, Observer, PostgresProxy, socket_path


class Ambush(Observer):
    """Disturbs the first message of a moment, and remembers what was sent."""

    def __init__(self) -> None:
        self.heard: list[Moment] = []
        self.clients: set[int] = set()
        self.struck = 0
        self._waiting: tuple[Moment, Disturbance] | None = None

    def connected(self, pid: int) -> Observer:
        self.clients.add(pid)
        return self

    def lay(
        self, moment: Moment, loss: Loss, *, cuts: bool, strike: Callable[[], None] = lambda: None
    ) -> None:
        def hit() -> None:
            self.struck += 1
            strike()

        self._waiting = (moment, Disturbance(loss, hit, cuts=cuts))

    def request(self, data: bytes) -> Disturbance | None:
        moment = Moment.of(data)
        if moment is None:
            return None
        self.heard.append(moment)
        if self._waiting is None or self._waiting[0] is not moment:
            return None
        (_, disturbance), self._waiting = self._waiting, None
        return disturbance


@pytest.fixture
def ambush() -> Ambush:
    return Ambush()


@pytest.fixture
def database(credentials: Credentials, ambush: Ambush) -> Iterator[Database]:
    """A database behind the proxy, with a table of what was done."""
    with PostgresProxy.to(credentials, ambush.connected) as proxy:
        behind = Database(lambda: proxy.credentials)
        behind.transact(lambda connection: connection.execute(text("CREATE TABLE done (what integer)")))
        ambush.heard.clear()
        yield behind
        behind.engine.dispose()


def do(database: Database) -> int:
    """Does it once more; answers how often it was tried."""
    tries = 0

    def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        connection.execute(text("INSERT INTO done VALUES (:what)"), {"what": 1})

    database.transact(work)
    return tries


def done(database: Database) -> int:
    number: int = database.transact_alone(
        lambda connection: connection.scalar(text("SELECT count(*) FROM done"))
    )
    return number


def test_without_an_ambush_it_is_not_noticed(database: Database, ambush: Ambush) -> None:
    assert do(database) == 1
    assert done(database) == 1
    assert ambush.heard == [Moment.BEGIN, Moment.STATEMENT, Moment.COMMIT, Moment.STATEMENT]
    assert ambush.clients == {os.getpid()}, "it knows who its clients are"


@pytest.mark.parametrize(("loss", "rows"), [(Loss.BEFORE, 1), (Loss.AFTER, 2)])
def test_a_connection_is_cut_around_commit(database: Database, ambush: Ambush, loss: Loss, rows: int) -> None:
    ambush.lay(Moment.COMMIT, loss, cuts=True)
    assert do(database) == 2, "the work was tried again"
    assert ambush.struck == 1
    assert done(database) == rows


def test_a_message_that_is_held_arrives_late_and_is_answered(database: Database, ambush: Ambush) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        released.wait()

    ambush.lay(Moment.BEGIN, Loss.BEFORE, cuts=False, strike=hold)
    working = threading.Thread(target=do, args=(database,))
    working.start()
    assert held.wait(timeout=10)
    assert ambush.heard == [Moment.BEGIN]
    released.set()
    working.join()
    assert done(database) == 1


def test_a_client_of_a_server_that_is_down_is_hung_up_on(credentials: Credentials, tmp_path: Path) -> None:
    nobody = credentials.model_copy(update={"host": str(tmp_path)})
    with (
        PostgresProxy.to(nobody, lambda pid: Observer()) as proxy,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(socket_path(proxy.credentials))
        assert client.recv(1) == b""
