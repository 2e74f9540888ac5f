"""What the tests of webhooks share: names that lead where a test wants, and a customer's server."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orders.db import Database
from orders.ids import uuid7
from orders.webhooks.resolver import HostNotFound
from tests.support.factories import ALICE, execute

KEY = "the key of all webhooks' secrets, in tests"
PUBLIC_ADDRESS = "93.184.215.14"
URL = "https://shop.example.com/hooks"


@dataclass
class FakeResolver:
    """Names and their addresses. A name may have other ones with each look: the last of them stay."""

    names: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, names: Mapping[str, Sequence[str]]) -> "FakeResolver":
        return cls({name: [addresses] for name, addresses in names.items()})

    def resolve(self, host: str, port: int, timeout_seconds: float) -> Sequence[str]:
        self.asked.append(host)
        looks = self.names.get(host)
        if not looks:
            raise HostNotFound(host)
        return looks.pop(0) if len(looks) > 1 else looks[0]


@dataclass(frozen=True)
class Received:
    """One request, as the customer's server got it. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass
class CustomerServer:
    """A real HTTP server. It answers the statuses in their order, and the last one from then on."""

    port: int
    statuses: list[int]
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?shop=1"

    def take(self, request: Received) -> int:
        with self.arrived:
            self.received.append(request)
            self.arrived.notify_all()
            return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def wait_for(self, number: int, timeout_seconds: float) -> list[Received]:
        """The requests, once there are so many of them or the time is over."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.received) >= number, timeout_seconds)
            return list(self.received)


@contextmanager
def customer_server(*statuses: int, headers: Mapping[str, str] | None = None) -> Iterator[CustomerServer]:
    """A customer's server on a free port of this machine."""

    class Hooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            sent = {name.lower(): value for name, value in self.headers.items()}
            status = server.take(Received(self.path, sent, self.rfile.read(length).decode()))
            self.send_response(status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b'{"ok": true}')

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hooks) as http:
        server = CustomerServer(http.server_port, list(statuses) or [200], dict(headers or {}))
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def add_endpoint(database: Database, *, user_id: str = ALICE, url: str = URL, slot: int = 1) -> Any:
    """An enabled endpoint; answers its id."""
    endpoint_id = uuid7()
    execute(
        database,
        "INSERT INTO webhook_endpoints (id, user_id, slot, url) VALUES (:id, :user_id, :slot, :url)",
        id=endpoint_id,
        user_id=user_id,
        slot=slot,
        url=url,
    )
    return endpoint_id
