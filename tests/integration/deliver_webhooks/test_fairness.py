"""One server that hangs, and others that do not: real servers, and as many senders at once as a stage has."""

import functools
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.deliver_webhooks.deliver import WebhookDelivery
from functions.deliver_webhooks.schedule import Schedule
from functions.deliver_webhooks.sender import HttpSender
from infra.stages import LOCAL
from orders.db import Credentials, Database
from orders.events import WebhookEvent
from orders.webhooks.keys import SigningKeys
from orders.webhooks.resolver import SystemResolver
from tests.integration.deliver_webhooks.webhook_setup import WAITS, WebhookSetup
from tests.support.factories import ALICE, BOB, add_order, rows
from tests.support.webhooks import KEY, add_endpoint, customer_server

PATIENCE_SECONDS = 8.0
"""Less than a server that hangs is given."""
ORDERS = 6


@dataclass
class HungServer:
    """It takes every request and responds to none until it is released."""

    port: int
    waiting: int = 0
    most: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def hold(self) -> None:
        with self.changed:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            self.changed.notify_all()
        self.released.wait(60)
        with self.changed:
            self.waiting -= 1

    def wait_for(self, number: int) -> bool:
        """Whether so many requests wait for their response, in time."""
        with self.changed:
            return self.changed.wait_for(lambda: self.waiting >= number, PATIENCE_SECONDS)


@contextmanager
def hung_server() -> Iterator[HungServer]:
    class Hooks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.hold()
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hooks) as http:
        server = HungServer(http.server_port)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()


@dataclass
class Senders:
    """What consumes the queue: as many processes at once as the local stage has."""

    setup: WebhookSetup
    credentials: Credentials
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(LOCAL.webhook_concurrency) as pool:
            consumers = [pool.submit(self._consume) for _ in range(LOCAL.webhook_concurrency)]
            try:
                yield
            finally:
                self.stopped.set()
        for consumer in consumers:
            consumer.result()

    def _consume(self) -> None:
        database = Database(lambda: self.credentials)
        sender = HttpSender(
            SystemResolver(), functools.cache(ssl.create_default_context), allow_loopback=True
        )
        delivery = WebhookDelivery(database, SigningKeys(lambda: KEY), sender, Schedule(WAITS))
        while not self.stopped.is_set():
            for event in WebhookSetup(database).due(1):
                data = event.payload()
                assert isinstance(data, WebhookEvent)
                delivery.handle(event, data)
            self.stopped.wait(0.02)
        database.engine.dispose()


@pytest.fixture
def senders(setup: WebhookSetup, credentials: Credentials) -> Senders:
    return Senders(setup, credentials)


@pytest.mark.parametrize("hung_slots", [[1], [1, 2], [1, 2, 3, 4]], ids=["one", "two", "four"])
def test_a_healthy_endpoint_is_told_at_once_while_its_owners_others_hang(
    setup: WebhookSetup, senders: Senders, hung_slots: list[int]
) -> None:
    with hung_server() as hung, customer_server(200) as healthy:
        for slot in hung_slots:
            add_endpoint(setup.database, slot=slot, url=hung.url)
        add_endpoint(setup.database, slot=5, url=healthy.url)
        for _ in range(ORDERS):
            setup.handle(setup.end_order())
        with senders.running():
            assert hung.wait_for(len(hung_slots)), "the hung ones are tried as well"
            received = healthy.wait_for(ORDERS, PATIENCE_SECONDS)
            still_hanging = hung.waiting
            hung.released.set()

    assert len(received) == ORDERS
    assert still_hanging > 0
    assert hung.most <= 2 * len(hung_slots)
    assert attempts_of(setup.database, healthy.url) == [1] * ORDERS


def test_nobody_else_waits_for_an_owner_whose_servers_all_hang(setup: WebhookSetup, senders: Senders) -> None:
    with hung_server() as hung, customer_server(200) as healthy:
        for slot in range(1, 6):
            add_endpoint(setup.database, slot=slot, url=hung.url)
        add_endpoint(setup.database, user_id=BOB, url=healthy.url)
        for _ in range(ORDERS):
            setup.handle(setup.end_order(order_id=add_order(setup.database, user_id=ALICE)))
        with senders.running():
            assert hung.wait_for(5)
            for _ in range(ORDERS):
                setup.handle(setup.end_order(order_id=add_order(setup.database, user_id=BOB)))
            received = healthy.wait_for(ORDERS, PATIENCE_SECONDS)
            still_hanging = hung.waiting
            hung.released.set()

    assert len(received) == ORDERS
    assert still_hanging > 0


def attempts_of(database: Database, url: str) -> list[int]:
    """Attempts at the deliveries to a URL: those that were put off count as none."""
    found = rows(
        database,
        """
        SELECT attempts FROM webhook_deliveries AS delivery
        JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
        WHERE endpoint.url = :url
        """,
        url=url,
    )
    return [row["attempts"] for row in found]
