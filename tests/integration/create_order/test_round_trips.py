"""Once there is a network between Lambda and Postgres, its round trips are what an order costs."""

from collections.abc import Iterator

import pytest

from functions.create_order import handler
from orders.db import Credentials, Database
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import Product, add_product, order_body
from tools.round_trips import RoundTripCounter

BUDGET = 13
"""What three statements, BEGIN and COMMIT take with pg8000 alone: 9 + 1 + 3."""


@pytest.fixture
def counter(credentials: Credentials) -> Iterator[RoundTripCounter]:
    with RoundTripCounter.to(credentials) as counter:
        yield counter


@pytest.fixture
def warm(counter: RoundTripCounter, monkeypatch: pytest.MonkeyPatch, product: Product) -> Iterator[Client]:
    """A customer of a function that has its connection."""
    database = Database(lambda: counter.credentials)
    monkeypatch.setattr(handler, "database", database)
    client = Client(handler.handler)
    post(client, order_body([(product.product_id, 1)]), key="first")
    yield client
    database.engine.dispose()


def test_an_order_is_two_statements_between_begin_and_commit(
    warm: Client, counter: RoundTripCounter, database: Database
) -> None:
    body = order_body([(add_product(database).product_id, 1) for _ in range(50)])

    with counter.listening() as heard:
        answer = post(warm, body)

    assert answer.status == 202
    assert len(heard.work) == 2
    assert heard.round_trips == 4 <= BUDGET


def test_a_replay_is_one_statement_between_begin_and_commit(
    warm: Client, counter: RoundTripCounter, product: Product
) -> None:
    with counter.listening() as heard:
        answer = post(warm, order_body([(product.product_id, 1)]), key="first")

    assert answer.headers["idempotency-replayed"] == "true"
    assert len(heard.work) == 1
    assert heard.round_trips == 3


def test_what_a_request_itself_has_wrong_is_refused_without_the_database(
    warm: Client, counter: RoundTripCounter, product: Product
) -> None:
    with counter.listening() as heard:
        post(warm, order_body([]))
        post(warm, order_body([(product.product_id, 60), (product.product_id, 60)]))
        post(warm, "not JSON")

    assert heard.round_trips == 0
