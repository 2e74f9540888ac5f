"""I10: same user, same key, same body: the same order. Same key, other body: refused. In flight: never a second one."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest

from functions.create_order.place_order import OrderRequest, Placed, place_order
from orders.db import Credentials, Database
from orders.errors import IdempotencyKeyReused
from tests.integration.create_order.in_flight import in_flight, wait_until, waiting_for_a_lock
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import (
    ALICE,
    BOB,
    EMAIL,
    Product,
    add_product,
    execute,
    order_body,
    order_request,
    rows,
)


def counts(database: Database) -> dict[str, Any]:
    (found,) = rows(
        database,
        "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM outbox) AS events, "
        "(SELECT count(*) FROM idempotency_keys) AS keys",
    )
    return found


ONE = {"orders": 1, "events": 1, "keys": 1}
TWO = {"orders": 2, "events": 2, "keys": 2}


class TestOneAfterTheOther:
    def test_the_same_request_again_is_the_same_202(
        self, alice: Client, product: Product, database: Database
    ) -> None:
        body = order_body([(product.product_id, 2)])
        first, *replays = [post(alice, body, key="same") for _ in range(3)]

        for replay in replays:
            assert (replay.status, replay.text) == (first.status, first.text)
            assert replay.headers["location"] == first.headers["location"]
            assert replay.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert counts(database) == ONE

    @pytest.mark.parametrize(
        "change",
        [
            {"quantity": 3},
            {"productId": str(uuid4())},
            {"currency": "EUR"},
            {"paymentMethod": "pm_card_declined"},
            {"email": "mallory@example.com"},
            {"phone": "+34600999999"},
            {"locale": "es"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_the_same_key_with_another_body_is_refused(
        self, alice: Client, product: Product, database: Database, change: dict[str, Any]
    ) -> None:
        """Trap T8: the old order is not returned."""
        post(alice, order_body([(product.product_id, 2)]), key="same")
        body = order_body([(product.product_id, 2)])
        for part in (body, body["contact"], body["items"][0]):
            part.update({name: value for name, value in change.items() if name in part})

        answer = post(alice, body, key="same")

        assert answer.status == 422
        assert answer.json["type"].endswith("/idempotency-key-reused")
        assert counts(database) == ONE

    def test_white_space_the_order_of_fields_and_defaults_make_no_other_body(
        self, alice: Client, product: Product, database: Database
    ) -> None:
        compact = {
            "items": [{"productId": str(product.product_id), "quantity": 2}],
            "currency": "USD",
            "paymentMethod": "pm_card_visa",
            "contact": {"email": EMAIL},
        }
        spelled_out = {
            "contact": {"locale": "en", "phone": None, "email": EMAIL},
            "paymentMethod": "pm_card_visa",
            "currency": "USD",
            "items": [{"quantity": 2, "productId": str(product.product_id).upper()}],
        }

        first = post(alice, json.dumps(compact, separators=(",", ":")), key="same")
        second = post(alice, json.dumps(spelled_out, indent=4), key="same")

        assert (second.status, second.text) == (202, first.text)
        assert counts(database) == ONE

    def test_another_user_has_keys_of_their_own(
        self, alice: Client, bob: Client, product: Product, database: Database
    ) -> None:
        """Trap T8: the other user's order is not returned."""
        body = order_body([(product.product_id, 2)])
        of_alice, of_bob = post(alice, body, key="same"), post(bob, body, key="same")

        assert of_bob.status == 202
        assert of_bob.json["orderId"] != of_alice.json["orderId"]
        assert "idempotency-replayed" not in of_bob.headers
        assert {row["user_id"] for row in rows(database, "SELECT user_id FROM orders")} == {ALICE, BOB}

    def test_another_key_is_another_order(self, alice: Client, product: Product, database: Database) -> None:
        """Trap T10: the same cart on the same day is a second order."""
        for _ in range(2):
            post(alice, order_body([(product.product_id, 2)]))

        assert counts(database) == TWO

    @pytest.mark.parametrize(
        "change",
        ["active = false", "unit_price = 999999", "currency = 'EUR'", "name = 'Renamed'"],
    )
    def test_a_replay_is_the_same_202_whatever_became_of_the_product(
        self, alice: Client, product: Product, database: Database, change: str
    ) -> None:
        body = order_body([(product.product_id, 2)])
        first = post(alice, body, key="same")
        execute(database, f"UPDATE products SET {change}")

        replay = post(alice, body, key="same")

        assert (replay.status, replay.text) == (202, first.text)

    @pytest.mark.parametrize("status", ["PROCESSING", "CONFIRMED", "CANCELLED"])
    def test_a_replay_is_the_same_202_whatever_became_of_the_order(
        self, alice: Client, product: Product, database: Database, status: str
    ) -> None:
        body = order_body([(product.product_id, 2)])
        first = post(alice, body, key="same")
        for step in dict.fromkeys(["PROCESSING", status]):
            execute(database, f"UPDATE orders SET status = '{step}'")

        assert post(alice, body, key="same").text == first.text

    def test_a_refused_request_leaves_its_key_free(
        self, alice: Client, product: Product, database: Database
    ) -> None:
        assert post(alice, order_body([(uuid4(), 1)]), key="same").status == 422

        assert post(alice, order_body([(product.product_id, 1)]), key="same").status == 202

    @pytest.mark.parametrize(
        "key", ["a,b", "a;b", '"quoted"', "%00", "'; DROP TABLE orders; --".replace(" ", "_")]
    )
    def test_a_key_is_taken_as_it_is(
        self, alice: Client, product: Product, database: Database, key: str
    ) -> None:
        post(alice, order_body([(product.product_id, 1)]), key=key)

        assert rows(database, "SELECT key FROM idempotency_keys") == [{"key": key}]


class TestAtOnce:
    """Trap T9: parallel duplicates are no error."""

    @pytest.fixture
    def request_(self, database: Database) -> OrderRequest:
        product = add_product(database)
        return order_request(order_body([(product.product_id, 2)]), key="same")

    def test_of_twenty_at_once_one_places_the_order_and_all_are_told_of_it(
        self, credentials: Credentials, database: Database, request_: OrderRequest
    ) -> None:
        with processes(credentials, 20) as databases:
            placed = at_once(databases, request_)

        assert len({answer.order_id for answer in placed}) == 1
        assert len({(answer.total_amount, answer.currency, answer.created_at) for answer in placed}) == 1
        assert sorted(answer.replayed for answer in placed) == [False] + [True] * 19
        assert counts(database) == ONE

    def test_those_that_come_before_its_commit_wait_for_it(
        self, credentials: Credentials, database: Database, request_: OrderRequest
    ) -> None:
        """None of them has seen the order when it is their turn to write: the primary key decides."""
        with processes(credentials, 5) as databases, ThreadPoolExecutor(5) as threads:
            with in_flight(credentials, request_) as first:
                others = [threads.submit(place_order, other, request_) for other in databases]
                wait_until(lambda: waiting_for_a_lock(database) == 5)
                placed = first.commits()
            replays = [other.result() for other in others]

        assert not placed.replayed
        assert all(replay.replayed and replay.order_id == placed.order_id for replay in replays)
        assert counts(database) == ONE

    def test_another_body_that_comes_before_its_commit_is_refused_after_it(
        self, credentials: Credentials, database: Database, request_: OrderRequest
    ) -> None:
        other_body = order_request(
            order_body([(request_.order.items[0].product_id, 9)]), user_id=request_.user_id, key=request_.key
        )
        with processes(credentials, 1) as (other,), ThreadPoolExecutor(1) as thread:
            with in_flight(credentials, request_) as first:
                answer = thread.submit(place_order, other, other_body)
                wait_until(lambda: waiting_for_a_lock(database) == 1)
                first.commits()
            with pytest.raises(IdempotencyKeyReused):
                answer.result()

        assert counts(database) == ONE

    def test_if_it_rolls_back_the_next_one_places_the_order(
        self, credentials: Credentials, database: Database, request_: OrderRequest
    ) -> None:
        with processes(credentials, 3) as databases, ThreadPoolExecutor(3) as threads:
            with in_flight(credentials, request_) as first:
                others = [threads.submit(place_order, other, request_) for other in databases]
                wait_until(lambda: waiting_for_a_lock(database) == 3)
                first.dies()
            placed = [other.result() for other in others]

        assert len({answer.order_id for answer in placed}) == 1
        assert sorted(answer.replayed for answer in placed) == [False, True, True]
        assert counts(database) == ONE

    def test_another_user_does_not_wait(
        self, credentials: Credentials, database: Database, request_: OrderRequest
    ) -> None:
        of_bob = order_request(
            order_body([(request_.order.items[0].product_id, 2)]), user_id=BOB, key=request_.key
        )
        with in_flight(credentials, request_) as first:
            assert not place_order(database, of_bob).replayed
            first.commits()

        assert counts(database) == TWO


@contextmanager
def processes(credentials: Credentials, number: int) -> Iterator[list[Database]]:
    """As many Lambda processes, as far as the database can tell: each with its one connection, already made."""
    with ExitStack() as stack:
        databases = [Database(lambda: credentials) for _ in range(number)]
        for database in databases:
            stack.callback(database.engine.dispose)
            rows(database, "SELECT 1")
        yield databases


def at_once(databases: list[Database], request: OrderRequest) -> list[Placed]:
    start = Barrier(len(databases))

    def one(database: Database) -> Placed:
        start.wait()
        return place_order(database, request)

    with ThreadPoolExecutor(len(databases)) as threads:
        return list(threads.map(one, databases))
