"""A Unix socket in front of a Postgres server's, where each client's conversation is observed or disturbed.

The proxy passes everything on. What else happens is up to the `Observer` that it asks for with each new connection:
`tools.round_trips` counts with one, `tools.chaos` injects faults with one.
"""

import contextlib
import os
import selectors
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from orders.db import Credentials

_CHUNK: Final = 1 << 16
_BACKLOG: Final = 128
_PID: Final = struct.Struct("i")
# macOS: the constants that Python's socket module does not have.
_SOL_LOCAL: Final = 0
_LOCAL_PEERPID: Final = 2

# As the driver sends them (PostgreSQL's documentation, "Message Formats"): simple queries, and a Parse first of all.
_BEGIN: Final = b"Q\x00\x00\x00\x16begin transaction\x00"
_COMMIT: Final = b"Q\x00\x00\x00\x0bcommit\x00"
_PARSE: Final = b"P"
_QUERY: Final = b"Q"


class Moment(StrEnum):
    """What a client sends to Postgres."""

    BEGIN = "begin"
    STATEMENT = "statement"
    COMMIT = "commit"

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """What begins with these bytes; None for anything else, e.g. a start-up message."""
        if data == _BEGIN:
            return cls("begin")
        if data == _COMMIT:
            return cls("commit")
        return cls("statement") if data[:1] in (_PARSE, _QUERY) else None


class Loss(StrEnum):
    """How far a message gets before it is disturbed."""

    BEFORE = "never sent"
    DURING = "sent"
    AFTER = "answered, unheard"


def _nothing() -> None:
    """What mostly follows."""


@dataclass(frozen=True)
class Disturbance:
    """What happens to one message of a client."""

    loss: Loss
    strike: Callable[[], None] = _nothing
    """Called when the message has got so far."""
    cuts: bool = True
    """Whether the connection ends with it."""
    afterwards: Callable[[], None] = _nothing
    """Called when the client has the response, if the connection was not cut."""


class Observer:
    """Sees one connection, in the order in which things happen. This one does nothing."""

    def request(self, data: bytes) -> Disturbance | None:
        """The client has sent this, and the server has not got it yet; None lets it pass."""

    def response(self) -> None:
        """The server has sent something, and the client has not got it yet."""


Connected = Callable[[int], Observer]
"""Called with the process id of each new client; returns the observer of its connection."""


class PostgresProxy:
    """A listening socket. Clients reach the server through `credentials`."""

    def __init__(self, server: Credentials, directory: Path, connected: Connected) -> None:
        self.credentials = server.model_copy(update={"host": str(directory)})
        self._server = socket_path(server)
        self._connected = connected
        self._connections: set[_Connection] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(socket_path(self.credentials))
        self._listener.listen(_BACKLOG)
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials, connected: Connected) -> Iterator[Self]:
        """A proxy in a directory of its own; all its connections end with it."""
        # Not below the project or pytest's directory: such a path may be longer than a socket's may be.
        directory = Path(tempfile.mkdtemp(prefix="orders-proxy-"))
        proxy = cls(server, directory, connected)
        try:
            yield proxy
        finally:
            proxy._close()
            shutil.rmtree(directory)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            # A server that is down refuses, and the client is hung up on, as without us.
            server.connect(self._server)
            connection = _Connection(client, server, self._connected(_peer(client)))
            self._connections.add(connection)
            try:
                connection.run()
            finally:
                self._connections.discard(connection)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            # `close` alone does not wake a thread that waits in `accept`.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            connection.cut()


class _Connection:
    """One client's connection, both directions in one thread, so that their order is what happened."""

    def __init__(self, client: socket.socket, server: socket.socket, observer: Observer) -> None:
        self._client = client
        self._server = server
        self._observer = observer

    def run(self) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(self._client, selectors.EVENT_READ, self._pass_request)
            ready.register(self._server, selectors.EVENT_READ, self._pass_response)
            while all(key.data() for key, _ in ready.select()):
                pass

    def cut(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pass_request(self) -> bool:
        data = self._client.recv(_CHUNK)
        disturbance = self._observer.request(data)
        if disturbance is not None:
            return self._disturb(disturbance, data)
        self._server.sendall(data)
        return bool(data)

    def _disturb(self, disturbance: Disturbance, data: bytes) -> bool:
        if disturbance.loss is not Loss.BEFORE:
            self._server.sendall(data)
        response = self._server.recv(_CHUNK) if disturbance.loss is Loss.AFTER else b""
        disturbance.strike()
        if disturbance.cuts:
            return False
        try:
            if disturbance.loss is Loss.BEFORE:
                self._server.sendall(data)
            self._client.sendall(response or self._server.recv(_CHUNK))
        finally:
            disturbance.afterwards()
        return True

    def _pass_response(self) -> bool:
        data = self._server.recv(_CHUNK)
        # Before it is sent: the client may look at what was counted as soon as it has its response.
        self._observer.response()
        self._client.sendall(data)
        return bool(data)


def socket_path(server: Credentials) -> str:
    """The Unix socket of a server whose host is a directory."""
    return f"{server.host}/.s.PGSQL.{server.port}"


def _peer(client: socket.socket) -> int:
    """The pid of the process at the other end."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 3 * _PID.size)
    else:
        credentials = client.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size)
    (pid,) = _PID.unpack_from(credentials)
    return int(pid) or os.getpid()
