"""Looking up a host's addresses, in bounded time."""

import socket
import threading
from collections.abc import Sequence
from typing import Protocol

from orders.errors import OrdersError


class HostNotFound(OrdersError):
    """The name has no address, or nobody said so in time."""


class Resolver(Protocol):
    def resolve(self, host: str, port: int, timeout_seconds: float) -> Sequence[str]:
        """The host's addresses, at least one.

        Raises:
            HostNotFound: as its name says.
        """
        ...


class SystemResolver:
    """The machine's own way of looking up names."""

    def resolve(self, host: str, port: int, timeout_seconds: float) -> Sequence[str]:
        """See `Resolver`."""
        found: list[str] = []

        def look_up() -> None:
            try:
                candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return
            found.extend(dict.fromkeys(str(address[0]) for *_, address in candidates))

        # The system's own limit is half a minute, and it cannot be told another.
        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        thread.join(timeout_seconds)
        if thread.is_alive() or not found:
            raise HostNotFound("the host has no address")
        return found
