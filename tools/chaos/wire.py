"""A Unix socket in front of Postgres that every function connects to, where its conversation can be ambushed.

The socket knows which process speaks, and each message is held until an ambush has had its say. So a fault strikes a
process at a known point of its work (before a COMMIT is sent, after it was answered and before that is heard), not at
a point that happens to come along.
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
from pathlib import Path
from typing import Final, Self

from tools.chaos import processes
from tools.chaos.plan import Loss, Moment

_CHUNK: Final = 1 << 16
_PID: Final = struct.Struct("i")
# macOS: the constants that Python's socket module does not have.
_SOL_LOCAL: Final = 0
_LOCAL_PEERPID: Final = 2

# As the driver sends them (PostgreSQL's documentation, "Message Formats"): simple queries, and a Parse first of all.
_BEGIN: Final = b"Q\x00\x00\x00\x16begin transaction\x00"
_COMMIT: Final = b"Q\x00\x00\x00\x0bcommit\x00"
_PARSE: Final = b"P"
_QUERY: Final = b"Q"


@dataclass(frozen=True)
class Utterance:
    """What a process is about to say to Postgres."""

    pid: int
    handler: str
    """The function's handler, e.g. `functions.notify.handler.handler`; empty for any other process."""
    moment: Moment
    data: bytes


def _nothing() -> None:
    """What mostly follows."""


@dataclass(frozen=True)
class Blow:
    """What is done to a conversation: how far the utterance gets, and whether the connection ends with it."""

    loss: Loss
    strike: Callable[[], None]
    """Called when the utterance has got so far."""
    cuts: bool
    afterwards: Callable[[], None] = _nothing
    """Called when the client has its answer, of a connection that was not cut."""


Ambush = Callable[[Utterance], Blow | None]
"""Looks at each utterance before it is passed on; None lets it pass."""


class Wire:
    """A listening socket in front of a server's."""

    def __init__(self, server: Path, directory: Path, ambush: Ambush) -> None:
        self.directory = directory
        self._server = server
        self._ambush = ambush
        self._links: set[_Link] = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / server.name))
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Path, ambush: Ambush) -> Iterator[Self]:
        """A wire to the server's socket, in a directory of its own; cut at the end."""
        # A path in the project may be longer than a socket's may be.
        directory = Path(tempfile.mkdtemp(prefix="orders-chaos-"))
        wire = cls(server, directory, ambush)
        try:
            yield wire
        finally:
            wire._close()
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
            server.connect(str(self._server))
            link = _Link(client, server, self._ambush)
            self._links.add(link)
            try:
                link.run()
            finally:
                self._links.discard(link)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            # `close` alone does not wake a thread that waits in `accept`.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._links):
            link.cut()


class _Link:
    """One client's connection, both directions in one thread, so that their order is what happened."""

    def __init__(self, client: socket.socket, server: socket.socket, ambush: Ambush) -> None:
        self._client = client
        self._server = server
        self._ambush = ambush
        self._pid = _peer(client)
        self._handler = processes.handler_of(self._pid)

    def run(self) -> None:
        with selectors.DefaultSelector() as ready:
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
        moment = _moment(data)
        blow = self._ambush(Utterance(self._pid, self._handler, moment, data)) if moment else None
        if blow is None:
            self._server.sendall(data)
            return bool(data)
        return self._strike(blow, data)

    def _strike(self, blow: Blow, data: bytes) -> bool:
        if blow.loss is not Loss.BEFORE:
            self._server.sendall(data)
        answer = self._server.recv(_CHUNK) if blow.loss is Loss.AFTER else b""
        blow.strike()
        if blow.cuts:
            return False
        try:
            if blow.loss is Loss.BEFORE:
                self._server.sendall(data)
            self._client.sendall(answer or self._server.recv(_CHUNK))
        finally:
            blow.afterwards()
        return True

    def _pass_answer(self) -> bool:
        data = self._server.recv(_CHUNK)
        self._client.sendall(data)
        return bool(data)


def _moment(data: bytes) -> Moment | None:
    if data == _BEGIN:
        return Moment.BEGIN
    if data == _COMMIT:
        return Moment.COMMIT
    return Moment.STATEMENT if data[:1] in (_PARSE, _QUERY) else None


def _peer(client: socket.socket) -> int:
    """The pid of the process at the other end."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 3 * _PID.size)
    else:
        credentials = client.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size)
    (pid,) = _PID.unpack_from(credentials)
    return int(pid) or os.getpid()
