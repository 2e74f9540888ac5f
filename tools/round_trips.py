"""Counts what a client and Postgres say to each other, at the socket between them.

`Wire` is a Unix socket that passes everything on to the real one. A round trip is counted whenever the server answers
after the client has spoken, so it is one whatever the driver calls it; statements are read off the frontend's
messages (PostgreSQL's documentation, "Message Formats"), so no client has to be patched.
"""

import contextlib
import re
import selectors
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from orders.db import Credentials

_CHUNK: Final = 1 << 16
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
    """What was said while `Wire.listening` was open."""

    round_trips: int = 0
    statements: list[Statement] = field(default_factory=list)

    @property
    def work(self) -> list[Statement]:
        """The statements without BEGIN, COMMIT and ROLLBACK."""
        return [statement for statement in self.statements if not statement.is_control]


class Wire:
    """A listening socket in front of a server. Clients reach the server through `credentials`."""

    def __init__(self, server: Credentials, directory: Path) -> None:
        self._server = f"{server.host}/.s.PGSQL.{server.port}"
        self.credentials = server.model_copy(update={"host": str(directory)})
        self._heard = Conversation()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{directory}/.s.PGSQL.{server.port}")
        self._listener.listen()
        self._links: list[_Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials) -> Iterator[Self]:
        """A wire to the server, cut at the end."""
        # Not pytest's own directory: its path may be longer than a socket's may be.
        directory = Path(tempfile.mkdtemp(prefix="orders-wire-"))
        wire = cls(server, directory)
        try:
            yield wire
        finally:
            wire._cut()
            shutil.rmtree(directory)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Conversation]:
        """Collects what is said from here on. Open it on a connection that is made: a start-up is many trips."""
        self._heard = Conversation()
        yield self._heard
        self._heard = Conversation()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            link = _Link(self, client, server)
            self._links.append(link)
            threading.Thread(target=link.run, daemon=True).start()

    def _cut(self) -> None:
        # `close` alone does not wake a thread that waits in `accept`.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self._links:
            link.cut()


class _Link:
    """One client's connection, both directions in one thread, so that their order is what happened."""

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire = wire
        self._client = client
        self._server = server
        self._frontend = _Frontend()
        self._asked = False

    def run(self) -> None:
        with selectors.DefaultSelector() as ready, self._client, self._server, contextlib.suppress(OSError):
            ready.register(self._client, selectors.EVENT_READ, self._pass_question)
            ready.register(self._server, selectors.EVENT_READ, self._pass_answer)
            while all(key.data() for key, _ in ready.select()):
                pass

    def cut(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass_question(self) -> bool:
        data = self._client.recv(_CHUNK)
        # Before it is sent: the client may look at the count as soon as it has its answer.
        self._wire._heard.statements += self._frontend.read(data)
        self._asked = True
        self._server.sendall(data)
        return bool(data)

    def _pass_answer(self) -> bool:
        data = self._server.recv(_CHUNK)
        if self._asked:
            self._wire._heard.round_trips += 1
            self._asked = False
        self._client.sendall(data)
        return bool(data)


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
