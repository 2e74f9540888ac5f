"""How many orders one user may place in a minute."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from functions.create_order import handler
from functions.create_order.place_order import RATE_WINDOW, Placed, _lane, place_order
from orders.db import Credentials, Database
from orders.errors import TooManyOrders
from orders.ids import uuid7
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import Product, add_product, execute, order_body, order_request, rows

ALLOWANCE = 3
RACERS = 100
CONNECTIONS = 20

WRITTEN = ("orders", "order_items", "idempotency_keys", "outbox")


@pytest.fixture(autouse=True)
def allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = handler.settings.model_copy(update={"orders_per_minute": ALLOWANCE})
    monkeypatch.setattr(handler, "settings", allowed)


@pytest.fixture
def body(product: Product) -> dict[str, Any]:
    return order_body([(product.product_id, 1)])


@pytest.fixture
def full(alice: Client, body: dict[str, Any]) -> Client:
    """A customer who has placed all that they may; the first under the key `first`."""
    keys = ["first", *(uuid4().hex for _ in range(ALLOWANCE - 1))]
    assert [post(alice, body, key=key).status for key in keys] == [202] * ALLOWANCE
    return alice


def written(database: Database) -> dict[str, int]:
    return {table: rows(database, f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in WRITTEN}


def end_window(database: Database) -> None:
    """As if the minute were over."""
    execute(database, f"UPDATE order_rates SET window_started_at = now() - interval '{RATE_WINDOW}'")


def test_one_order_more_than_allowed_is_refused_until_the_minute_is_over(
    full: Client, body: dict[str, Any]
) -> None:
    answer = post(full, body)

    assert (answer.status, answer.headers["content-type"]) == (429, "application/problem+json")
    assert answer.json["type"].endswith("/too-many-orders")
    assert 0 < int(answer.headers["retry-after"]) <= RATE_WINDOW.total_seconds()


def test_a_refused_order_leaves_nothing_behind(
    full: Client, body: dict[str, Any], database: Database
) -> None:
    before = written(database), rows(database, "SELECT * FROM order_rates")
    post(full, body)
    assert (written(database), rows(database, "SELECT * FROM order_rates")) == before


def test_the_next_minute_is_a_new_one(full: Client, body: dict[str, Any], database: Database) -> None:
    end_window(database)
    assert [post(full, body).status for _ in range(ALLOWANCE + 1)] == [202] * ALLOWANCE + [429]


def test_the_answer_tells_how_long_the_window_stays_full(
    full: Client, body: dict[str, Any], database: Database
) -> None:
    execute(database, "UPDATE order_rates SET window_started_at = now() - interval '50.5 s'")
    left = (
        "SELECT extract(epoch FROM window_started_at + interval '1 minute' - now()) AS left FROM order_rates"
    )
    (before,) = rows(database, left)
    told = int(post(full, body).headers["retry-after"])
    (after,) = rows(database, left)
    # Rounded up: whoever comes back then is not refused again.
    assert math.ceil(after["left"]) <= told <= math.ceil(before["left"])


def test_a_replay_is_neither_refused_nor_counted(
    full: Client, body: dict[str, Any], database: Database
) -> None:
    before = rows(database, "SELECT * FROM order_rates")
    answer = post(full, body, key="first")
    assert (answer.status, answer.headers["idempotency-replayed"]) == (202, "true")
    assert rows(database, "SELECT * FROM order_rates") == before


def test_a_user_pays_for_nobody_else(full: Client, bob: Client, body: dict[str, Any]) -> None:
    assert post(bob, body).status == 202


def test_what_was_no_order_is_not_counted(alice: Client, body: dict[str, Any]) -> None:
    nothing = order_body([(uuid7(), 1)])
    assert [post(alice, nothing).status for _ in range(ALLOWANCE + 1)] == [422] * (ALLOWANCE + 1)
    assert post(alice, body).status == 202


@pytest.fixture
def processes(credentials: Credentials) -> Iterator[list[Database]]:
    databases = [Database(lambda: credentials) for _ in range(CONNECTIONS)]
    yield databases
    for database in databases:
        database.engine.dispose()


def test_of_a_hundred_at_once_exactly_as_many_as_allowed_are_accepted(
    processes: list[Database], product: Product, database: Database
) -> None:
    allowance = 60
    start = threading.Barrier(CONNECTIONS)
    request = replace(order_request(order_body([(product.product_id, 1)])), allowance=allowance)

    def some(process: Database) -> list[Placed | TooManyOrders]:
        start.wait()
        return [place(process) for _ in range(RACERS // CONNECTIONS)]

    def place(process: Database) -> Placed | TooManyOrders:
        try:
            return place_order(process, replace(request, key=uuid4().hex))
        except TooManyOrders as refusal:
            return refusal

    with ThreadPoolExecutor(CONNECTIONS) as clients:
        answers = [answer for answers in clients.map(some, processes) for answer in answers]

    accepted = [answer for answer in answers if isinstance(answer, Placed)]
    assert (len(answers), len(accepted)) == (RACERS, allowance)
    assert written(database) == dict.fromkeys(WRITTEN, allowance)


def test_of_one_key_at_once_the_last_free_place_goes_to_all(
    processes: list[Database], database: Database
) -> None:
    body = order_body([(add_product(database).product_id, 1)])
    request = replace(order_request(body, key="the same"), allowance=1)
    with ThreadPoolExecutor(CONNECTIONS) as clients:
        placed = list(clients.map(lambda process: place_order(process, request), processes))
    assert len({answer.order_id for answer in placed}) == 1
    assert sum(not answer.replayed for answer in placed) == 1


@pytest.mark.parametrize("allowance", [1, 2, 60, 999, 1_000, 1_999, 2_500, 10_000])
def test_lanes_share_an_allowance_and_never_add_to_it(allowance: int) -> None:
    lanes = {_lane(allowance, uuid7())["lane"] for _ in range(200)}
    (most,) = {_lane(allowance, uuid7())["most"] for _ in range(20)}

    assert len(lanes) == max(1, allowance // 1_000)
    assert allowance - len(lanes) < len(lanes) * most <= allowance
