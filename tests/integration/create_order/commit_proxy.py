"""A Unix socket in front of Postgres that loses the connection around COMMIT, as networks do."""

import contextlib
import selectors
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final, Self

from orders.db import Credentials

_COMMIT: Final = b"Q\x00\x00\x00\x0bcommit\x00"
"""A simple query, as the driver sends it (PostgreSQL's documentation, "Message Formats")."""
_CHUNK: Final = 1 << 16


class Loss(Enum):
    """When the client loses the connection."""

    BEFORE = "COMMIT never reaches the server"
    DURING = "the server may still be at it"
    AFTER = "the server has committed and the client does not know"


class CommitProxy:
    """Loses the connection at as many COMMITs as it is told to; passes on everything else."""

    def __init__(self, server: Credentials, directory: Path) -> None:
        self._server = f"{server.host}/.s.PGSQL.{server.port}"
        self.credentials = server.model_copy(update={"host": str(directory)})
        self._loss = Loss.BEFORE
        self._times = 0
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{directory}/.s.PGSQL.{server.port}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials) -> Iterator[Self]:
        # Not pytest's own directory: its path may be longer than a socket's may be.
        directory = Path(tempfile.mkdtemp(prefix="orders-proxy-"))
        proxy = cls(server, directory)
        try:
            yield proxy
        finally:
            for end in (proxy._listener, *proxy._ends):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            proxy._listener.close()
            shutil.rmtree(directory)

    def lose_connection(self, loss: Loss, times: int = 1) -> None:
        self._loss, self._times = loss, times

    @property
    def losses_left(self) -> int:
        return self._times

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._ends += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
            for end in (client, server):
                ready.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]  # a socket was registered
                    if not data:
                        return
                    if data == _COMMIT and self._times > 0:
                        self._times -= 1
                        self._lose(server)
                        return
                    (server if key.fileobj is client else client).sendall(data)

    def _lose(self, server: socket.socket) -> None:
        if self._loss is not Loss.BEFORE:
            server.sendall(_COMMIT)
        if self._loss is Loss.AFTER:
            server.recv(_CHUNK)
