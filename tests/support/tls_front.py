"""TLS for the embedded Postgres, whose build has none: what a server does at SSLRequest, then bytes both ways.

PostgreSQL's documentation, "SSL Session Encryption". Passwords are asked for by Postgres itself.
"""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_BYTES = 65_536


@contextlib.contextmanager
def running(host: str, postgres_port: int, certificate: Path, key: Path) -> Iterator[int]:
    """A server on `host` that speaks TLS to clients, and plainly to Postgres; its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with socket.create_server((host, 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, context, postgres_port), daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        # An accept that waits is not ended by closing the socket.
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join(timeout=10)


def _accept(listener: socket.socket, context: ssl.SSLContext, postgres_port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, postgres_port), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, postgres_port: int) -> None:
    # A client that does not trust us, or either side that goes: the end of the connection.
    with client, contextlib.suppress(OSError):
        if client.recv(len(_SSL_REQUEST)) != _SSL_REQUEST:
            return
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as encrypted,
            socket.create_connection(("127.0.0.1", postgres_port)) as plain,
        ):
            _relay(encrypted, plain)


def _relay(encrypted: ssl.SSLSocket, plain: socket.socket) -> None:
    while True:
        # What OpenSSL has decrypted already, select does not see.
        ready = [encrypted] if encrypted.pending() else select.select([encrypted, plain], [], [])[0]
        for source in ready:
            content = source.recv(_BYTES)
            if not content:
                return
            (plain if source is encrypted else encrypted).sendall(content)
