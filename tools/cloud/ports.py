"""TCP ports of this machine's loopback interface."""

import socket

from tools.cloud.settings import LOOPBACK


def is_free(port: int) -> bool:
    """Whether a server could listen on it."""
    with socket.socket() as candidate:
        # As servers do: a port whose last connections are only waiting out their time is free.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as candidate:
        candidate.bind((LOOPBACK, 0))
        port: int = candidate.getsockname()[1]
    return port
