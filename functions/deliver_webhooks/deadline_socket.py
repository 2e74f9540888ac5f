"""A socket with a deadline for all that is said over it.

A timeout of a socket is for each of its waits, and starts anew with every byte. A server that sends one byte a second
would hold us for as long as it likes.
"""

import io
import socket
import time
from typing import Any


class DeadlineSocket:
    """What `http.client` needs of a connected socket; each of it raises TimeoutError once the deadline is over."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        """`deadline` is a time of `time.monotonic()`."""
        self._socket = connected
        self.deadline = deadline

    def sendall(self, data: Any) -> None:
        self.allow_the_rest()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The incoming side."""
        return io.BufferedReader(_Incoming(self))

    def receive_into(self, buffer: Any) -> int:
        self.allow_the_rest()
        return self._socket.recv_into(buffer)

    def allow_the_rest(self) -> None:
        """Lets the next wait be as long as there is time."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the time for this exchange is over")
        self._socket.settimeout(remaining)

    def close(self) -> None:
        """Nothing yet: `http.client` closes a connection before the response is read to the end. See `hang_up`."""

    def hang_up(self) -> None:
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, channel: DeadlineSocket) -> None:
        self._channel = channel

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._channel.receive_into(buffer)
