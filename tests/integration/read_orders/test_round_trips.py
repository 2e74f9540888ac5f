"""A read is one statement, and one round trip."""

from collections.abc import Iterator

import pytest

from functions.read_orders import handler
from orders.db import Credentials, Database
from tests.support.api import Client
from tests.support.factories import add_order, add_product
from tools.round_trips import RoundTripCounter


@pytest.fixture
def counter(credentials: Credentials) -> Iterator[RoundTripCounter]:
    with RoundTripCounter.to(credentials) as counter:
        yield counter


@pytest.fixture
def warm(counter: RoundTripCounter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A reader of a function that has its connection."""
    counted = Database(lambda: counter.credentials)
    monkeypatch.setattr(handler, "database", counted)
    client = Client(handler.handler)
    client.get("/api/v1/health/ready")
    yield client
    counted.engine.dispose()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/orders",
        "/api/v1/orders?status=PENDING&limit=1",
        "/api/v1/orders/{order}",
        "/api/v1/orders/{order}/status",
        "/api/v1/products",
        "/api/v1/products?limit=1",
        "/api/v1/products/{product}",
    ],
)
def test_a_read_is_one_round_trip(
    warm: Client, counter: RoundTripCounter, database: Database, path: str
) -> None:
    product = add_product(database)
    order_id = add_order(database, [(product, 1), (add_product(database), 2)])

    with counter.listening() as heard:
        answer = warm.get(path.format(order=order_id, product=product.product_id))

    assert answer.status == 200
    assert len(heard.work) == 1
    assert heard.round_trips == 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/health/live",
        "/api/v1/orders/nonsense",
        "/api/v1/products/nonsense",
        "/api/v1/orders?cursor=nonsense",
        "/api/v1/nothing",
    ],
)
def test_what_needs_no_database_does_not_ask_it(warm: Client, counter: RoundTripCounter, path: str) -> None:
    with counter.listening() as heard:
        warm.get(path)

    assert heard.round_trips == 0
