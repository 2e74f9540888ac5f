"""Whatever happens to the connection: never two orders, never an acknowledged one lost, never an answer that hangs."""

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from functions.create_order import handler
from functions.create_order.place_order import place_order
from orders.db import Credentials, Database
from orders.errors import DatabaseUnavailable
from tests.integration.create_order.commit_proxy import CommitProxy
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import Product, add_product, execute, order_body, order_request, rows
from tests.support.logs import Logs
from tests.support.postgres import Server
from tools.postgres_proxy import Loss

API_TIMEOUT_SECONDS = 10
"""After which the API's functions are ended."""


def order_ids(database: Database) -> list[UUID]:
    return [row["id"] for row in rows(database, "SELECT id FROM orders")]


class TestAroundCommit:
    @pytest.fixture
    def proxy(self, credentials: Credentials) -> Iterator[CommitProxy]:
        with CommitProxy.to(credentials) as proxy:
            yield proxy

    @pytest.fixture
    def customer(self, proxy: CommitProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
        behind_proxy = Database(lambda: proxy.credentials)
        monkeypatch.setattr(handler, "database", behind_proxy)
        yield Client(handler.handler)
        behind_proxy.engine.dispose()

    @pytest.mark.parametrize("loss", Loss)
    @pytest.mark.parametrize("times", [1, 2])
    def test_a_lost_connection_places_one_order(
        self,
        customer: Client,
        proxy: CommitProxy,
        database: Database,
        product: Product,
        loss: Loss,
        times: int,
    ) -> None:
        proxy.lose_connection(loss, times)

        answer = post(customer, order_body([(product.product_id, 2)]), key="same")

        assert proxy.losses_left == 0
        assert answer.status == 202
        assert order_ids(database) == [UUID(answer.json["orderId"])]
        assert rows(database, "SELECT count(*) AS events FROM outbox") == [{"events": 1}]

    @pytest.mark.parametrize("loss", Loss)
    def test_the_first_answer_is_no_replay_and_is_counted(
        self, customer: Client, proxy: CommitProxy, product: Product, logs: Logs, loss: Loss
    ) -> None:
        proxy.lose_connection(loss)

        answer = post(customer, order_body([(product.product_id, 2)]), key="same")

        assert "idempotency-replayed" not in answer.headers
        assert logs.everything.count('"OrdersAccepted":[1.0]') == 1

    @pytest.mark.parametrize("loss", Loss)
    def test_a_replay_survives_it_too(
        self, customer: Client, proxy: CommitProxy, database: Database, product: Product, loss: Loss
    ) -> None:
        body = order_body([(product.product_id, 2)])
        first = post(customer, body, key="same")
        proxy.lose_connection(loss)

        assert post(customer, body, key="same").text == first.text
        assert len(order_ids(database)) == 1

    @pytest.mark.parametrize("loss", Loss)
    def test_when_it_is_lost_each_time_the_client_may_ask_again(
        self, customer: Client, proxy: CommitProxy, database: Database, product: Product, loss: Loss
    ) -> None:
        body = order_body([(product.product_id, 2)])
        proxy.lose_connection(loss, times=100)
        assert post(customer, body, key="same").status == 503
        proxy.lose_connection(loss, times=0)

        answer = post(customer, body, key="same")

        assert answer.status == 202
        assert order_ids(database) == [UUID(answer.json["orderId"])]


def test_a_terminated_backend_is_not_noticed(
    alice: Client, product: Product, database: Database, postgres_server: Server, credentials: Credentials
) -> None:
    """As after a failover, or a Lambda that was frozen for too long."""
    post(alice, order_body([(product.product_id, 1)]))
    postgres_server.administer(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{credentials.dbname}'"
    )

    assert post(alice, order_body([(product.product_id, 1)])).status == 202
    assert len(order_ids(database)) == 2


def test_a_crash_of_postgres_loses_no_acknowledged_order_and_doubles_none() -> None:
    """Customers repeat a request under its key until it is answered, while Postgres crashes twice."""
    with Server.running(durable=True) as server, server.fresh_database() as credentials:
        database = Database(lambda: credentials)
        product = add_product(database)
        stop = threading.Event()

        def customer(number: int) -> list[UUID]:
            process = Database(lambda: credentials)
            acknowledged = []
            while not stop.is_set():
                request = order_request(order_body([(product.product_id, 1)]), user_id=f"customer-{number}")
                answer = None
                while answer is None:
                    with contextlib.suppress(DatabaseUnavailable):
                        answer = place_order(process, request)
                acknowledged.append(answer.order_id)
            process.engine.dispose()
            return acknowledged

        with ThreadPoolExecutor(4) as threads:
            customers = [threads.submit(customer, number) for number in range(4)]
            for _ in range(2):
                wait_for_orders(database)
                server.crash()
                server.recover()
            wait_for_orders(database)
            stop.set()
            acknowledged = [order_id for answers in customers for order_id in answers.result()]

        assert len(acknowledged) == len(set(acknowledged))
        assert sorted(order_ids(database)) == sorted(acknowledged)
        assert rows(database, "SELECT count(*) AS events FROM outbox") == [{"events": len(acknowledged)}]
        database.engine.dispose()


def wait_for_orders(database: Database, number: int = 20) -> None:
    """Until there are so many more."""
    enough = number_of_orders(database) + number
    while number_of_orders(database) < enough:
        time.sleep(0.01)


def number_of_orders(database: Database) -> int:
    while True:
        # A server that has just crashed may take longer to be back than one unit of work is tried.
        with contextlib.suppress(DatabaseUnavailable):
            return len(order_ids(database))


class TestWithoutADatabase:
    @pytest.fixture
    def customer(self, where: Credentials, monkeypatch: pytest.MonkeyPatch) -> Client:
        monkeypatch.setattr(handler, "database", Database(lambda: where))
        return Client(handler.handler)

    @pytest.fixture
    def nowhere(self) -> Credentials:
        return Credentials(username="nobody", password="", host="/nowhere", port=5432, dbname="none")

    @pytest.fixture(params=["nobody listens", "nobody answers"])
    def where(self, request: pytest.FixtureRequest, nowhere: Credentials) -> Iterator[Credentials]:
        if request.param == "nobody listens":
            yield nowhere
            return
        with (
            tempfile.TemporaryDirectory(prefix="orders-silent-") as directory,
            socket.socket(socket.AF_UNIX) as silent,
        ):
            silent.bind(f"{directory}/.s.PGSQL.5432")
            silent.listen()
            yield nowhere.model_copy(update={"host": directory})

    def test_the_answer_is_503_with_retry_after_before_the_function_times_out(
        self, customer: Client, logs: Logs
    ) -> None:
        started = time.monotonic()

        answer = post(customer, order_body([(UUID(int=1), 1)]))

        assert time.monotonic() - started < API_TIMEOUT_SECONDS
        assert answer.status == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["type"].endswith("/temporarily-unavailable")
        assert [line["message"] for line in logs.lines].count("Request failed") == 1, "logged once"

    def test_what_is_wrong_with_a_request_needs_no_database(self, nowhere: Credentials) -> None:
        answer = Client(handler.handler).post("/api/v1/orders", {}, {"Idempotency-Key": "key"})

        assert answer.status == 422


class TestAHundredClientsAtOnce:
    """Trap T1: nobody holds one connection while waiting for another."""

    def test_all_are_answered_by_a_pool_of_one(self, database: Database, product: Product) -> None:
        requests = [order_request(order_body([(product.product_id, 1)])) for _ in range(100)]

        with ThreadPoolExecutor(100) as clients:
            placed = list(clients.map(lambda request: place_order(database, request), requests))

        assert len({answer.order_id for answer in placed}) == 100
        assert len(order_ids(database)) == 100

    def test_none_waits_for_ever_for_a_connection_that_does_not_come(
        self, database: Database, product: Product
    ) -> None:
        started = time.monotonic()

        def attempt(_: int) -> None:
            with pytest.raises(DatabaseUnavailable):
                place_order(database, order_request(order_body([(product.product_id, 1)])))

        with database.engine.begin(), ThreadPoolExecutor(100) as clients:
            list(clients.map(attempt, range(100)))

        assert time.monotonic() - started < API_TIMEOUT_SECONDS

    def test_none_waits_for_ever_for_a_lock_that_is_not_released(
        self, database: Database, credentials: Credentials, product: Product
    ) -> None:
        other = Database(lambda: credentials)
        started = time.monotonic()

        with other.engine.begin() as holder:
            holder.exec_driver_sql("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DatabaseUnavailable):
                place_order(database, order_request(order_body([(product.product_id, 1)])))
        other.engine.dispose()

        assert time.monotonic() - started < API_TIMEOUT_SECONDS

    def test_a_process_that_froze_in_mid_transaction_lets_go_of_its_locks(
        self, database: Database, credentials: Credentials, product: Product
    ) -> None:
        execute(
            database, f"ALTER DATABASE {credentials.dbname} SET idle_in_transaction_session_timeout = '500ms'"
        )
        database.engine.dispose()
        frozen = Database(lambda: credentials)

        with contextlib.suppress(Exception), frozen.engine.begin() as holder:
            holder.exec_driver_sql("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            place_order(database, order_request(order_body([(product.product_id, 1)])))
        frozen.engine.dispose()

        assert len(order_ids(database)) == 1
