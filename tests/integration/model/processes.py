"""Lambda processes whose every statement is a gate: they can be stopped, killed or cut off between any two."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

import pg8000.dbapi
from pg8000.core import Context
from sqlalchemy import Connection, text

from orders import driver
from orders.db import Credentials, Database
from tests.integration.model.strands import PATIENCE_SECONDS, Killed, Strand

T = TypeVar("T")

LOSE_ANSWER: Final = "lose the answer"
"""The statement has been executed, COMMIT included, and the connection is gone before anybody knows."""

# Neither holds nor shows anything by itself.
_NO_GATES: Final = ("begin transaction", "rollback")


class GatedConnection(driver.Connection):
    """A connection that stops its invocation after each answer, as if the next statement were not sent yet."""

    backend: int = 0

    def execute_simple(self, statement: str) -> Context:
        return self._gated(statement, lambda: super(GatedConnection, self).execute_simple(statement))

    def execute_unnamed(self, statement: str, vals: Any = ()) -> Context:
        if not vals:
            return self.execute_simple(statement)
        return self._gated(statement, lambda: super(GatedConnection, self).execute_unnamed(statement, vals))

    def cut(self) -> None:
        """Ends it without a word, as the end of a process does. The server rolls back what was not committed."""
        with suppress(OSError):
            self._usock.shutdown(socket.SHUT_RDWR)

    def _gated(self, statement: str, execute: Callable[[], Context]) -> Context:
        invocation = Strand.current()
        if not isinstance(invocation, Invocation):
            return execute()
        invocation.backend = self.backend
        if invocation.is_killed:
            self.cut()
            raise Killed
        answer = execute()
        if statement in _NO_GATES:
            return answer
        try:
            told = invocation.gate()
        except Killed:
            self.cut()
            raise
        if told == LOSE_ANSWER:
            self.cut()
            invocation.wait_until_the_server_knows()
            raise pg8000.dbapi.InterfaceError("network error")
        return answer


class GatedCredentials(Credentials):
    def connect(self, timeout: float | None = 60) -> GatedConnection:
        invocation = Strand.current()
        if invocation is not None and invocation.is_killed:
            raise Killed
        connection = GatedConnection(
            user=self.username,
            password=self.password,
            database=self.dbname,
            unix_sock=f"{self.host}/.s.PGSQL.{self.port}",
        )
        connection.wait_at_most(timeout)
        answer = driver.Connection.execute_simple(connection, "SELECT pg_backend_pid()")
        connection.backend = int(answer.rows[0][0])
        return connection


class Process:
    """A warm Lambda process: its connection outlives an invocation, but not its own end."""

    def __init__(self, credentials: GatedCredentials) -> None:
        self.database = Database(lambda: credentials)
        # A first connection comes with questions of SQLAlchemy's own.
        with self.database.engine.connect():
            pass

    def end(self) -> None:
        self.database.engine.dispose()


class CurrentDatabase(Database):
    """The database of whichever process asks: handlers have it in a global, of which there is one for each process."""

    def __init__(self) -> None:
        """It has no engine of its own."""

    def transact(self, work: Callable[[Connection], T]) -> T:
        return Invocation.current_one().database.transact(work)

    def transact_alone(self, work: Callable[[Connection], T]) -> T:
        return Invocation.current_one().database.transact_alone(work)


class Invocation(Strand):
    """One run of a function, in a process of its own while it lasts."""

    def __init__(
        self, name: str, find_process: Callable[[], Process], observer: "Observer", work: Callable[[], Any]
    ) -> None:
        super().__init__(name, work)
        self.process: Process | None = None
        """None until it begins."""
        self.backend = 0
        self._find_process = find_process
        self._observer = observer
        self._gates_left = 0

    @classmethod
    def current_one(cls) -> Self:
        strand = cls.current()
        assert isinstance(strand, cls), "asked from inside of a function"
        return strand

    @property
    def database(self) -> Database:
        assert self.process is not None, "it has begun"
        return self.process.database

    def gate(self) -> Any:
        """A place where it can be stopped, killed or cut off; answers what it is told."""
        if self.is_killed:
            raise Killed
        if self._gates_left > 0:
            self._gates_left -= 1
            return None
        return self.park()

    def run_through(self, gates: int, told: Any = None) -> None:
        """Lets it pass so many gates and stop at the next one."""
        self.process = self.process or self._find_process()
        self._gates_left = gates
        self.go_on(told)
        if self.is_blocked:
            self._gates_left = 0

    def kill(self) -> None:
        super().kill()
        self.wait_until_the_server_knows()

    def wait_until_the_server_knows(self) -> None:
        """Until it has let go of what a connection that was cut off held."""
        self._observer.wait_for_the_end_of(self.backend)

    def waits_for_a_lock(self) -> bool:
        return self._observer.is_blocked(self.backend)


class Observer:
    """A connection of nobody's, to see who waits for whom."""

    def __init__(self, credentials: Credentials) -> None:
        self.database = Database(lambda: credentials)

    def is_blocked(self, backend: int) -> bool:
        return bool(self._ask("SELECT pg_blocking_pids(:backend) <> '{}'", backend))

    def wait_for_the_end_of(self, backend: int) -> None:
        """Until its last transaction is over."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._ask(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = :backend AND xact_start IS NOT NULL)",
            backend,
        ):
            assert time.monotonic() < deadline, "the server does not notice"
            time.sleep(0.001)

    def end(self) -> None:
        self.database.engine.dispose()

    def _ask(self, question: str, backend: int) -> Any:
        return self.database.transact_alone(
            lambda connection: connection.scalar(text(question), {"backend": backend})
        )
