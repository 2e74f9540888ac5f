"""What stands between the functions and Postgres strikes where it is told to, and is not noticed otherwise."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from orders.db import Credentials, Database
from tools.chaos.plan import Loss, Moment
from tools.chaos.wire import Blow, Utterance, Wire


class Ambush:
    """Strikes the first utterance of a moment, and remembers what it has heard."""

    def __init__(self) -> None:
        self.heard: list[Utterance] = []
        self.struck = 0
        self._waiting: tuple[Moment, Blow] | None = None

    def lay(
        self, moment: Moment, loss: Loss, *, cuts: bool, strike: Callable[[], None] = lambda: None
    ) -> None:
        def hit() -> None:
            self.struck += 1
            strike()

        self._waiting = (moment, Blow(loss, hit, cuts=cuts))

    def __call__(self, utterance: Utterance) -> Blow | None:
        self.heard.append(utterance)
        if self._waiting is None or self._waiting[0] is not utterance.moment:
            return None
        (_, blow), self._waiting = self._waiting, None
        return blow


@pytest.fixture
def ambush() -> Ambush:
    return Ambush()


@pytest.fixture
def database(credentials: Credentials, ambush: Ambush) -> Iterator[Database]:
    """A database behind the wire, with a table of what was done."""
    with Wire.to(Path(credentials.host) / ".s.PGSQL.5432", ambush) as wire:
        behind = Database(lambda: credentials.model_copy(update={"host": str(wire.directory)}))
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
    assert [heard.moment for heard in ambush.heard] == [
        Moment.BEGIN,
        Moment.STATEMENT,
        Moment.COMMIT,
        Moment.STATEMENT,
    ]
    assert {heard.handler for heard in ambush.heard} == {""}, "this process runs no function"


@pytest.mark.parametrize(("loss", "rows"), [(Loss.BEFORE, 1), (Loss.AFTER, 2)])
def test_a_connection_is_cut_around_commit(database: Database, ambush: Ambush, loss: Loss, rows: int) -> None:
    ambush.lay(Moment.COMMIT, loss, cuts=True)
    assert do(database) == 2, "the work was tried again"
    assert ambush.struck == 1
    assert done(database) == rows


def test_an_utterance_that_is_held_arrives_late_and_is_answered(database: Database, ambush: Ambush) -> None:
    held, released = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        released.wait()

    ambush.lay(Moment.BEGIN, Loss.BEFORE, cuts=False, strike=hold)
    working = threading.Thread(target=do, args=(database,))
    working.start()
    assert held.wait(timeout=10)
    assert [heard.moment for heard in ambush.heard] == [Moment.BEGIN]
    released.set()
    working.join()
    assert done(database) == 1


def test_a_client_of_a_server_that_is_down_is_hung_up_on(tmp_path: Path, ambush: Ambush) -> None:
    with (
        Wire.to(tmp_path / ".s.PGSQL.5432", ambush) as wire,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(wire.directory / ".s.PGSQL.5432"))
        assert client.recv(1) == b""
