"""How many orders one user may place: never more than so many in any minute, whenever that minute begins."""

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.create_order import handler
from functions.create_order.place_order import (
    LANE_ALLOWANCE,
    RATE_WINDOW,
    OrderRequest,
    Placed,
    _lane,
    place_order,
)
from orders.db import Credentials, Database
from orders.errors import TooManyOrders
from orders.ids import uuid7
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import ALICE, Product, add_product, execute, order_body, order_request, rows
from tests.support.postgres import Server

MINUTE = int(RATE_WINDOW.total_seconds())
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


def let_time_pass(database: Database, seconds: float) -> None:
    """As if the orders so far had been placed so much earlier."""
    execute(
        database,
        """
        UPDATE order_rates SET recent = ARRAY(
            SELECT placed_at - make_interval(secs => :seconds)
            FROM unnest(recent) WITH ORDINALITY AS placed (placed_at, place) ORDER BY place
        )
        """,
        seconds=seconds,
    )


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
    let_time_pass(database, MINUTE)
    assert [post(full, body).status for _ in range(ALLOWANCE + 1)] == [202] * ALLOWANCE + [429]


def test_the_answer_tells_how_long_the_minute_stays_full(
    full: Client, body: dict[str, Any], database: Database
) -> None:
    let_time_pass(database, 50.5)
    left = "SELECT extract(epoch FROM recent[1] + interval '1 minute' - now()) AS left FROM order_rates"
    (before,) = rows(database, left)
    told = int(post(full, body).headers["retry-after"])
    (after,) = rows(database, left)
    # Rounded up: whoever comes back then is not refused again.
    assert math.ceil(after["left"]) <= told <= math.ceil(before["left"])

    let_time_pass(database, told)
    assert post(full, body).status == 202


def test_as_many_late_in_one_minute_and_early_in_the_next_are_too_many(
    alice: Client, body: dict[str, Any], database: Database
) -> None:
    """119 orders went through in 16 seconds at 60 a minute: a minute began with the first order."""
    assert post(alice, body).status == 202
    let_time_pass(database, MINUTE - 5)
    assert [post(alice, body).status for _ in range(ALLOWANCE - 1)] == [202] * (ALLOWANCE - 1)
    let_time_pass(database, 6)
    assert [post(alice, body).status for _ in range(ALLOWANCE)] == [202] + [429] * (ALLOWANCE - 1)


def test_each_order_makes_room_when_it_is_a_minute_old(
    alice: Client, body: dict[str, Any], database: Database
) -> None:
    for _ in range(ALLOWANCE):
        assert post(alice, body).status == 202
        let_time_pass(database, 10)
    assert post(alice, body).headers["retry-after"] == str(MINUTE - 10 * ALLOWANCE)
    let_time_pass(database, MINUTE - 10 * ALLOWANCE)
    assert [post(alice, body).status for _ in range(2)] == [202, 429]


def test_a_limit_that_was_lowered_holds_at_once(
    full: Client, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    lowered = handler.settings.model_copy(update={"orders_per_minute": 1})
    monkeypatch.setattr(handler, "settings", lowered)
    assert post(full, body).status == 429
    let_time_pass(database, MINUTE)
    assert [post(full, body).status for _ in range(2)] == [202, 429]


def test_a_row_of_the_release_before_is_full_of_room(
    alice: Client, body: dict[str, Any], database: Database
) -> None:
    execute(database, "INSERT INTO order_rates (user_id, lane, placed) VALUES (:user, 0, 60)", user=ALICE)
    assert [post(alice, body).status for _ in range(ALLOWANCE + 1)] == [202] * ALLOWANCE + [429]


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 5, 15, 20, 30, 55, 60, 61, 130]), min_size=5, max_size=30),
    st.sampled_from([1, 2, 3, 5]),
)
def test_no_minute_has_more_orders_than_promised_and_none_is_refused_with_fewer(
    limited: tuple[Database, Product], pauses: list[int], allowance: int
) -> None:
    """Whenever orders arrive, in seconds. The moments between the statements are no pause of these."""
    database, product = limited
    request = order_request(order_body([(product.product_id, 1)]), user_id=uuid4().hex)
    clock, accepted = 0, list[int]()
    for pause in pauses:
        let_time_pass(database, pause)
        clock += pause
        recent = [moment for moment in accepted if moment > clock - MINUTE]
        if _is_accepted(database, replace(request, key=uuid4().hex, allowance=allowance)):
            accepted.append(clock)
            assert len(recent) < allowance
        else:
            assert len(recent) == allowance
    assert all(
        sum(begin <= moment < begin + MINUTE for moment in accepted) <= allowance for begin in accepted
    )


@pytest.fixture(scope="module")
def limited(postgres_server: Server) -> Iterator[tuple[Database, Product]]:
    """One database for all examples: each has a user of its own."""
    with postgres_server.fresh_database() as credentials:
        database = Database(lambda: credentials)
        yield database, add_product(database)
        database.engine.dispose()


def _is_accepted(database: Database, request: OrderRequest) -> bool:
    try:
        place_order(database, request)
    except TooManyOrders:
        return False
    return True


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


@pytest.mark.parametrize("allowance", [1, 2, 60, 199, 200, 399, 500, 2_000, 60_000])
def test_lanes_share_an_allowance_and_never_add_to_it(allowance: int) -> None:
    lanes = {_lane(allowance, uuid7())["lane"] for _ in range(200)}
    (most,) = {_lane(allowance, uuid7())["most"] for _ in range(20)}
    number = max(1, allowance // LANE_ALLOWANCE)

    assert lanes <= set(range(number))
    assert len(lanes) == min(number, len(lanes)) > 0.4 * min(number, 200)
    assert allowance - number < number * most <= allowance
    assert most < 2 * LANE_ALLOWANCE


def test_orders_in_lanes_keep_the_promise_together(
    processes: list[Database], product: Product, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.create_order.place_order.LANE_ALLOWANCE", 5)
    allowance = 20
    request = replace(order_request(order_body([(product.product_id, 1)])), allowance=allowance)

    def some(process: Database) -> int:
        return sum(_is_accepted(process, replace(request, key=uuid4().hex)) for _ in range(4))

    for seconds in (0, 15, 20):
        let_time_pass(database, seconds)
        with ThreadPoolExecutor(CONNECTIONS) as clients:
            accepted = sum(clients.map(some, processes))
        assert accepted == (allowance if seconds == 0 else 0)
    let_time_pass(database, 25)
    with ThreadPoolExecutor(CONNECTIONS) as clients:
        assert sum(clients.map(some, processes)) == allowance
