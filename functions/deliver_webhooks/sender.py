"""One attempt: a POST to a server that may be slow, broken, gone or hostile. Nothing of it is trusted.

The host's addresses are checked, and the connection goes to the very address that was checked: no second look-up could
lead it elsewhere. The certificate is held against the host's name all the same. Redirects are not followed.
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Protocol

from functions.deliver_webhooks.retry_after import seconds_asked_for
from orders.webhooks.destination import Destination, ForbiddenDestination, addresses_of, parse
from orders.webhooks.resolver import HostNotFound, Resolver
from orders.webhooks.states import DeliveryError

TOTAL_SECONDS: Final = 10.0
"""From the look-up of the name to the end of the response's headers."""
CONNECT_SECONDS: Final = 3.0
"""For the look-up, and again for each address that is tried."""
BODY_SECONDS: Final = 1.0
MAX_BODY_BYTES: Final = 4096
"""Of a response. It says nothing that the status does not, and is read so that a server can finish what it says."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Of all that comes before a response's body: interim responses (1xx) without end are no response."""
MAX_ADDRESSES: Final = 3


@dataclass(frozen=True)
class AttemptResult:
    """What became of an attempt. Without an error it got through."""

    status: int | None
    """HTTP's, if there was a response."""
    error: DeliveryError | None
    retry_after: float | None = None
    """Seconds that the server asked to be left alone for, with a response that was a failure."""
    seconds: float = field(default=0.0, compare=False)
    """How long it took."""


class WebhookSender(Protocol):
    def send(self, url: str, body: str, headers: dict[str, str]) -> AttemptResult:
        """Sends the body once. Whatever the other side does, this returns in `TOTAL_SECONDS` and a little."""
        ...


class HttpSender:
    """The real one."""

    def __init__(
        self, resolver: Resolver, tls: Callable[[], ssl.SSLContext], *, allow_loopback: bool
    ) -> None:
        self._resolver = resolver
        self._tls = tls
        self._allow_loopback = allow_loopback

    def send(self, url: str, body: str, headers: dict[str, str]) -> AttemptResult:
        """See `WebhookSender`."""
        begun = time.monotonic()
        result = self._attempt(url, body, headers, begun + TOTAL_SECONDS)
        return replace(result, seconds=time.monotonic() - begun)

    def _attempt(self, url: str, body: str, headers: dict[str, str], deadline: float) -> AttemptResult:
        try:
            destination = parse(url, allow_loopback=self._allow_loopback)
            channel = self._connect(destination, deadline)
        except (ForbiddenDestination, HostNotFound):
            return AttemptResult(None, DeliveryError.HOST_NOT_FOUND)
        except TimeoutError:
            return AttemptResult(None, DeliveryError.TIMEOUT)
        except ssl.SSLError:
            return AttemptResult(None, DeliveryError.TLS_FAILED)
        except OSError:
            return AttemptResult(None, DeliveryError.CONNECTION_FAILED)
        try:
            return _exchange(channel, destination, body, headers)
        except TimeoutError:
            return AttemptResult(None, DeliveryError.TIMEOUT)
        except (OSError, http.client.HTTPException):
            return AttemptResult(None, DeliveryError.BROKEN_ANSWER)
        finally:
            channel.hang_up()

    def _connect(self, destination: Destination, deadline: float) -> "DeadlineSocket":
        addresses = addresses_of(
            destination, self._resolver, allow_loopback=self._allow_loopback, timeout_seconds=CONNECT_SECONDS
        )
        failure: OSError | None = None
        for address in addresses[:MAX_ADDRESSES]:
            try:
                seconds = min(CONNECT_SECONDS, deadline - time.monotonic())
                connected = socket.create_connection((address, destination.port), timeout=max(seconds, 0.001))
            except OSError as error:
                failure = error
                continue
            return self._secured(connected, destination, deadline)
        assert failure is not None, "a host that was found has an address"
        raise failure

    def _secured(
        self, connected: socket.socket, destination: Destination, deadline: float
    ) -> "DeadlineSocket":
        plain = DeadlineSocket(connected, deadline)
        if not destination.is_secure:
            return plain
        try:
            plain.allow_the_rest()
            return DeadlineSocket(
                self._tls().wrap_socket(connected, server_hostname=destination.host), deadline
            )
        except BaseException:
            plain.hang_up()
            raise


class DeadlineSocket:
    """What `http.client` needs of a connected socket; each of it raises TimeoutError once the deadline is over.

    A timeout of a socket is for each of its waits, and starts anew with every byte. A server that sends one byte a
    second would hold us for as long as it likes.
    """

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        """`deadline` is a time of `time.monotonic()`."""
        self._socket = connected
        self.deadline = deadline
        self._bytes_allowed = MAX_HEAD_BYTES

    def sendall(self, data: Any) -> None:
        self.allow_the_rest()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """The incoming side."""
        return io.BufferedReader(_Incoming(self))

    def receive_into(self, buffer: Any) -> int:
        self.allow_the_rest()
        received = self._socket.recv_into(buffer)
        self._bytes_allowed -= received
        if self._bytes_allowed < 0:
            raise http.client.HTTPException("this is more than any response needs")
        return received

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


class _FinalResponse(http.client.HTTPResponse):
    """Of all the responses to a request the last one. `http.client` by itself skips 100 only; any 1xx may come before
    it (RFC 9110, section 15.2), except 101, which answers a request to switch that we never send."""

    def begin(self) -> None:
        super().begin()
        while self.status != HTTPStatus.SWITCHING_PROTOCOLS and self.status < HTTPStatus.OK:
            # It reads nothing as long as it has headers.
            self.headers = None  # type: ignore[assignment]
            super().begin()


def _exchange(
    channel: DeadlineSocket, destination: Destination, body: str, headers: dict[str, str]
) -> AttemptResult:
    connection = http.client.HTTPConnection(destination.host, destination.port)
    connection.response_class = _FinalResponse
    connection.sock = channel
    content = body.encode()
    connection.request(
        "POST", destination.target, content, {"Host": destination.authority, "Connection": "close", **headers}
    )
    response = connection.getresponse()
    channel.deadline = min(channel.deadline, time.monotonic() + BODY_SECONDS)
    with suppress(OSError, http.client.HTTPException):
        response.read(MAX_BODY_BYTES)
    error = _error_of(response.status)
    asked_for = seconds_asked_for(response.getheader("Retry-After")) if error else None
    return AttemptResult(response.status, error, asked_for)


def _error_of(status: int) -> DeliveryError | None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if status == HTTPStatus.GONE:
        return DeliveryError.GONE
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return DeliveryError.REDIRECTED
    return DeliveryError.HTTP_STATUS
