"""Counts round trips and statements between a client and Postgres, at the socket between them.

A round trip is counted whenever the server responds after the client has sent something, so it is one whatever the
driver calls it. Statements are read off the frontend's messages (PostgreSQL's documentation, "Message Formats"), so no
client has to be patched.
"""

import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from orders.db import Credentials
from tools.postgres_proxy import Observer, PostgresProxy

_CONTROL: Final = frozenset({"BEGIN", "COMMIT", "ROLLBACK"})
_PLACEHOLDER: Final = re.compile(r"\$(\d+)")
_SSL_REQUEST: Final = struct.pack("!i", 80877103)
"""Asks whether TLS is spoken; the connection begins after the answer."""


@dataclass(frozen=True)
class Statement:
    """A statement that a client had executed. Parameters are in text format, as the driver sends them."""

    sql: str
    parameters: tuple[str | None, ...] = ()

    def inlined(self) -> str:
        """The same with its parameters as literals, which the server types as it types undeclared parameters."""
        return _PLACEHOLDER.sub(lambda found: _literal(self.parameters[int(found[1]) - 1]), self.sql)

    @property
    def is_control(self) -> bool:
        """Whether it begins or ends a transaction rather than doing something in it."""
        return self.sql.split(maxsplit=1)[0].rstrip(";").upper() in _CONTROL


@dataclass
class Conversation:
    """What was sent while `RoundTripCounter.listening` was open."""

    round_trips: int = 0
    statements: list[Statement] = field(default_factory=list)

    @property
    def work(self) -> list[Statement]:
        """The statements without BEGIN, COMMIT and ROLLBACK."""
        return [statement for statement in self.statements if not statement.is_control]


class RoundTripCounter:
    """Counts what clients send that reach the server through `credentials`."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._counted = Conversation()

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials) -> Iterator[Self]:
        """A counter in front of the server, until the block ends."""
        counter = cls(server)
        with PostgresProxy.to(server, lambda pid: _Counting(counter)) as proxy:
            counter.credentials = proxy.credentials
            yield counter

    @contextlib.contextmanager
    def listening(self) -> Iterator[Conversation]:
        """Counts from here on. Open it on a connection that is made: a start-up is many trips."""
        self._counted = Conversation()
        yield self._counted
        self._counted = Conversation()


class _Counting(Observer):
    """Counts on one connection."""

    def __init__(self, counter: RoundTripCounter) -> None:
        self._counter = counter
        self._frontend = _Frontend()
        self._is_waiting = False

    def request(self, data: bytes) -> None:
        self._counter._counted.statements += self._frontend.read(data)
        self._is_waiting = True

    def response(self) -> None:
        if self._is_waiting:
            self._counter._counted.round_trips += 1
            self._is_waiting = False


class _Frontend:
    """Reads one client's messages for the statements that they execute."""

    def __init__(self) -> None:
        self._unread = b""
        self._started = False
        self._prepared: dict[bytes, str] = {}
        self._bound: dict[bytes, Statement] = {}

    def read(self, data: bytes) -> list[Statement]:
        self._unread += data
        executed: list[Statement] = []
        while (message := self._next()) is not None:
            kind, body = message
            match kind:
                case b"Q":
                    executed.append(Statement(body.rstrip(b"\0").decode()))
                case b"P":
                    self._parse(body)
                case b"B":
                    self._bind(body)
                case b"E":
                    executed.append(self._bound[body.partition(b"\0")[0]])
        return executed

    def _next(self) -> tuple[bytes, bytes] | None:
        """The next whole message; those before a connection has begun have no type."""
        head = 1 if self._started else 0
        if len(self._unread) < head + 4:
            return None
        (length,) = struct.unpack_from("!i", self._unread, head)
        if len(self._unread) < head + length:
            return None
        kind, body = self._unread[:head], self._unread[head + 4 : head + length]
        self._unread = self._unread[head + length :]
        self._started = body != _SSL_REQUEST
        return kind, body

    def _parse(self, body: bytes) -> None:
        name, _, rest = body.partition(b"\0")
        self._prepared[name] = rest.partition(b"\0")[0].decode()

    def _bind(self, body: bytes) -> None:
        portal, _, rest = body.partition(b"\0")
        name, _, rest = rest.partition(b"\0")
        (formats,) = struct.unpack_from("!H", rest)
        place = 2 + 2 * formats
        (count,) = struct.unpack_from("!H", rest, place)
        place += 2
        parameters: list[str | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from("!i", rest, place)
            place += 4
            parameters.append(None if length < 0 else rest[place : place + length].decode())
            place += max(length, 0)
        self._bound[portal] = Statement(self._prepared[name], tuple(parameters))


def _literal(value: str | None) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
