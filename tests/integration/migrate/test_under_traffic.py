"""A migration runs while everybody works: the code before it goes on as if nothing were, and so does the code after."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pg8000.dbapi
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event

from functions.migrate import migrate
from functions.migrate.migrate import upgrade
from orders.db import Credentials, Database
from orders.payments.provider import PaymentProvider
from tests.integration.migrate.earlier_ledger import make_earlier_ledger
from tests.integration.migrate.filling import fill
from tests.integration.migrate.recording import ENDINGS, Pipelines
from tests.integration.migrate.stories import Recording, Story, Teller
from tests.support.factories import rows
from tests.support.postgres import Server

_SCRIPTS: Final = ScriptDirectory(str(Path(migrate.__file__).parent))
REVISIONS: Final = [script.revision for script in reversed(list(_SCRIPTS.walk_revisions()))]
MIGRATIONS: Final = list(pairwise(REVISIONS))
"""Each with the revision before it. The first of all meets an empty database and no traffic."""

ORDERS: Final = 5_000
"""There already, each with its rows in ten tables."""
TELLERS: Final = 2
LOCK_TIMEOUT_SECONDS: Final = 4.0
"""The functions' own: who waits longer for a lock fails."""
PATIENCE_SECONDS: Final = 60

_DEADLOCK_DETECTED: Final = "40P01"


class Traffic:
    """Processes of the old code that tell its stories again and again."""

    def __init__(self, credentials: Credentials, recording: Recording) -> None:
        self.tellers = [Teller(credentials) for _ in range(TELLERS)]
        self.errors: list[BaseException] = []
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._tell, args=(teller, recording.stories[place:] + recording.stories[:place])
            )
            for place, teller in enumerate(self.tellers)
        ]

    @classmethod
    @contextmanager
    def running(cls, credentials: Credentials, recording: Recording) -> Iterator["Traffic"]:
        traffic = cls(credentials, recording)
        for thread in traffic._threads:
            thread.start()
        try:
            yield traffic
        finally:
            traffic._ends.set()
            for thread in traffic._threads:
                thread.join()
            for teller in traffic.tellers:
                teller.close()

    def wait_for_more(self, stories: int) -> None:
        """Until each process has told so many more from its beginning to its end, begun from now on or before."""
        so_far = [teller.told for teller in self.tellers]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.errors and any(
            teller.told < told + stories for teller, told in zip(self.tellers, so_far, strict=True)
        ):
            assert time.monotonic() < deadline, "the traffic has come to a standstill"
            time.sleep(0.01)

    def _tell(self, teller: Teller, stories: list[Story]) -> None:
        try:
            for story in cycle(stories):
                if self._ends.is_set():
                    return
                try:
                    teller.tell(story)
                except pg8000.dbapi.DatabaseError as error:
                    if error.args[0]["C"] != _DEADLOCK_DETECTED:
                        raise
                    # `Database.transact` begins again then.
                    teller.roll_back()
        except BaseException as error:
            self.errors.append(error)


def deploy(credentials: Credentials, revision: str, provider: PaymentProvider | None = None) -> None:
    assert upgrade(credentials, revision, provider=provider) == revision


@pytest.fixture(scope="module")
def in_use(postgres_server: Server) -> Iterator[Credentials]:
    """A database that has been in use since the first revision. The tests take it from one revision to the next."""
    name = f"in_use_{uuid4().hex}"
    postgres_server.administer(f"CREATE DATABASE {name}")
    credentials = postgres_server.credentials(name)
    upgrade(credentials, REVISIONS[0])
    make_earlier_ledger(credentials)
    fill(credentials, ORDERS)
    yield credentials
    postgres_server.administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(("before", "after"), MIGRATIONS)
def test_the_code_before_a_migration_goes_on_while_it_runs_and_afterwards(
    in_use: Credentials, before: str, after: str
) -> None:
    deploy(in_use, before)
    recording = Recording.of_the_code_at(before)

    with Traffic.running(in_use, recording) as traffic:
        traffic.wait_for_more(1)
        deploy(in_use, after)
        traffic.wait_for_more(1 + len(recording.stories))

    # Nor has anybody waited longer for a lock than the functions may: that is an error as well.
    assert traffic.errors == []


def test_the_code_goes_on_while_the_ledger_of_an_earlier_release_is_taken_over(in_use: Credentials) -> None:
    deploy(in_use, REVISIONS[-1])
    recording = Recording.of_the_code_at(REVISIONS[-1])

    with Traffic.running(in_use, recording) as traffic:
        traffic.wait_for_more(1)
        deploy(in_use, REVISIONS[-1], PaymentProvider.SIMULATOR)
        traffic.wait_for_more(1 + len(recording.stories))

    assert traffic.errors == []


def test_todays_code_works_on_what_the_code_before_it_has_left(
    in_use: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(in_use, REVISIONS[-1], PaymentProvider.SIMULATOR)
    database = Database(lambda: in_use)
    pipelines = Pipelines(database, monkeypatch)

    endings = {name: _status(database, tell(pipelines)) for name, tell in ENDINGS.items()}
    pipelines.maintain()

    assert endings == {name: name.partition(",")[0] for name in ENDINGS}
    database.engine.dispose()


@pytest.mark.parametrize(("before", "after"), MIGRATIONS)
def test_no_statement_of_a_migration_waits_long_for_a_lock_that_others_queue_behind(
    empty_database: Callable[[], Credentials], before: str, after: str
) -> None:
    """Nobody waits for what builds or drops an index concurrently, or validates a check: it may wait longer."""
    credentials = empty_database()
    upgrade(credentials, before)
    patience: list[tuple[float, str]] = []

    def look(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.split(maxsplit=1)[0].upper() in ("ALTER", "CREATE", "DROP", "LOCK", "UPDATE", "DELETE"):
            cursor.execute("SELECT extract(epoch FROM current_setting('lock_timeout')::interval)::float8")
            patience.append((cursor.fetchone()[0], " ".join(statement.split())))

    event.listen(Engine, "before_cursor_execute", look)
    try:
        upgrade(credentials, after)
    finally:
        event.remove(Engine, "before_cursor_execute", look)

    assert patience
    for seconds, statement in patience:
        is_waited_for = not re.search("CONCURRENTLY|VALIDATE CONSTRAINT", statement)
        longest = LOCK_TIMEOUT_SECONDS if is_waited_for else 60
        # Zero is for ever.
        assert 0 < seconds <= longest, statement


def test_there_is_a_recording_for_the_code_before_each_migration() -> None:
    for before, _ in MIGRATIONS:
        assert Recording.of_the_code_at(before).revision <= before


def test_the_newest_recording_is_of_a_revision_that_there_is() -> None:
    assert Recording.of_the_code_at(REVISIONS[-1]).revision in REVISIONS


def _status(database: Database, order_id: Any) -> str:
    (order,) = rows(database, "SELECT status FROM orders WHERE id = :order_id", order_id=order_id)
    return str(order["status"])
