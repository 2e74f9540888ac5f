"""`Database.transact`: one transaction, run again when the connection and not the work was at fault."""

import time
from collections.abc import Callable, Iterator
from threading import Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from orders import db, driver
from orders.db import Credentials, Database
from orders.errors import DatabaseUnavailable
from tests.support.factories import execute, rows
from tests.support.postgres import Server

INSERT = text("INSERT INTO inbox VALUES ('consumer', :id)")
SLOW_ANSWER = text("SELECT CAST(:answer AS text) FROM pg_sleep(:seconds)")
IS_THERE = text("SELECT count(*) FROM inbox")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which are not waited for."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


class Attempts:
    """Work that fails as often as it is told to, then succeeds."""

    def __init__(self, failures: int, fail: Callable[[Connection], object]) -> None:
        self.number = 0
        self._failures = failures
        self._fail = fail

    def __call__(self, connection: Connection) -> int:
        self.number += 1
        connection.execute(INSERT, {"id": uuid4()})
        if self.number <= self._failures:
            self._fail(connection)
        return self.number


def fails_with(sqlstate: str) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(
        text(f"DO $$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{sqlstate}'; END $$")
    )


def loses_its_backend(connection: Connection) -> None:
    connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def count(database: Database) -> int:
    return int(database.transact(lambda connection: connection.scalar(IS_THERE)))


def test_what_was_done_is_committed_when_the_work_returns(database: Database) -> None:
    database.transact(lambda connection: connection.execute(INSERT, {"id": uuid4()}))

    assert count(database) == 1


def test_nothing_is_when_it_raises(database: Database) -> None:
    class Change(Exception):
        pass

    def work(connection: Connection) -> None:
        connection.execute(INSERT, {"id": uuid4()})
        raise Change

    with pytest.raises(Change):
        database.transact(work)

    assert count(database) == 0


@pytest.mark.parametrize(
    "fault",
    [
        loses_its_backend,
        *map(fails_with, ["40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03", "08006", "25006"]),
    ],
)
def test_a_passing_fault_is_worth_another_attempt_which_starts_from_nothing(
    database: Database, waits: list[float], fault: Callable[[Connection], object]
) -> None:
    assert database.transact(Attempts(1, fault)) == 2
    assert count(database) == 1
    assert waits == [0.0]


def test_the_waits_between_attempts_grow(database: Database, waits: list[float]) -> None:
    assert database.transact(Attempts(db.ATTEMPTS - 1, loses_its_backend)) == db.ATTEMPTS
    assert waits == list(db.BACKOFF_SECONDS)
    assert sum(waits) < db.RETRY_WINDOW_SECONDS


def test_it_gives_up_after_so_many(database: Database, waits: list[float]) -> None:
    attempts = Attempts(100, loses_its_backend)

    with pytest.raises(DatabaseUnavailable):
        database.transact(attempts)

    assert attempts.number == db.ATTEMPTS
    assert count(database) == 0


def test_it_gives_up_when_the_caller_has_waited_long_enough(
    database: Database, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, db.RETRY_WINDOW_SECONDS + 0.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    attempts = Attempts(100, fails_with("57014"))

    with pytest.raises(DatabaseUnavailable):
        database.transact(attempts)

    assert attempts.number == 1


@pytest.mark.parametrize("sqlstate", ["23505", "23514", "22P02", "42P01", "P0001"])
def test_a_fault_of_the_work_is_not(database: Database, sqlstate: str) -> None:
    attempts = Attempts(1, fails_with(sqlstate))

    with pytest.raises(DBAPIError):
        database.transact(attempts)

    assert attempts.number == 1


def test_a_statement_that_the_driver_does_not_understand_is_not_either(database: Database) -> None:
    attempts = Attempts(
        1, lambda connection: connection.execute(text("SELECT 7 % CAST(:a AS int)"), {"a": 4})
    )

    with pytest.raises(DBAPIError):
        database.transact(attempts)

    assert attempts.number == 1


def test_a_violated_constraint_is_told_by_its_class(database: Database) -> None:
    with pytest.raises(IntegrityError):
        database.transact(lambda connection: connection.execute(INSERT, [{"id": UUID(int=1)}] * 2))


def test_after_a_failover_the_connection_to_the_reader_is_given_up(database: Database) -> None:
    """25006: it would refuse every write, for as long as it is kept."""
    execute(database, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    database.transact(lambda connection: connection.execute(INSERT, {"id": uuid4()}))

    assert count(database) == 1


class TestAnAnswerThatComesTooLate:
    """The answer to one statement must never be taken for the answer to the next."""

    @pytest.fixture
    def impatient(self, credentials: Credentials) -> Iterator[Database]:
        """One that waits for a quarter of a second only."""

        class Impatient(Credentials):
            def connect(self, timeout: float | None = 0.25) -> driver.Connection:
                return credentials.connect(timeout)

        database = Database(lambda: Impatient(**credentials.model_dump()))
        yield database
        database.engine.dispose()

    def test_is_not_waited_for_and_not_read_later(self, impatient: Database) -> None:
        answers: list[int] = []

        def work(connection: Connection) -> str:
            attempt = len(answers) + 1
            answers.append(attempt)
            # The first attempt's answer comes while the second one asks something else.
            wait = 0.6 if attempt == 1 else 0
            return str(
                connection.scalar(
                    text("SELECT :a || pg_sleep(:s)::text"), {"a": f"answer {attempt}", "s": wait}
                )
            )

        assert impatient.transact(work) == "answer 2"
        time.sleep(0.6)
        assert rows(impatient, "SELECT 'the next' AS answer") == [{"answer": "the next"}]


def test_a_connection_waits_for_an_answer_longer_than_the_database_lets_it_take(
    credentials: Credentials,
) -> None:
    database = Database(lambda: credentials)
    (limit,) = rows(
        database, "SELECT extract(epoch FROM current_setting('statement_timeout')::interval) AS seconds"
    )
    database.engine.dispose()

    assert limit["seconds"] < db.SOCKET_TIMEOUT_SECONDS


class TestAlone:
    def test_one_statement_is_a_transaction_by_itself(self, database: Database) -> None:
        database.transact_alone(lambda connection: connection.execute(INSERT, {"id": uuid4()}))

        assert count(database) == 1

    def test_the_next_one_has_its_transaction_again(self, database: Database) -> None:
        database.transact_alone(lambda connection: connection.execute(IS_THERE))

        with pytest.raises(DatabaseUnavailable):
            database.transact(Attempts(100, loses_its_backend))
        assert count(database) == 0

    def test_it_is_tried_again_too(
        self, database: Database, credentials: Credentials, postgres_server: Server
    ) -> None:
        count(database)
        postgres_server.administer(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{credentials.dbname}'"
        )

        assert database.transact_alone(lambda connection: connection.scalar(IS_THERE)) == 0


def test_a_process_has_one_connection(database: Database) -> None:
    threads = [Thread(target=count, args=[database]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows(
        database, "SELECT count(*) AS connections FROM pg_stat_activity WHERE datname = current_database()"
    ) == [{"connections": 1}]
