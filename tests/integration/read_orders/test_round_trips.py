"""A read is one statement, and one round trip."""

from collections.abc import Iterator

import pytest

from functions.read_orders import handler
from orders.db import Credentials, Database
from tests.support.api import Client
from tests.support.factories import add_order, add_product
from tools.round_trips import Wire


@pytest.fixture
def wire(credentials: Credentials) -> Iterator[Wire]:
    with Wire.to(credentials) as wire:
        yield wire


@pytest.fixture
def warm(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A reader of a function that has its connection."""
    behind_wire = Database(lambda: wire.credentials)
    monkeypatch.setattr(handler, "database", behind_wire)
    client = Client(handler.handler)
    client.get("/api/v1/health/ready")
    yield client
    behind_wire.engine.dispose()


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
        "/api/v1/health/ready",
    ],
)
def test_a_read_is_one_round_trip(warm: Client, wire: Wire, database: Database, path: str) -> None:
    product = add_product(database)
    order_id = add_order(database, [(product, 1), (add_product(database), 2)])

    with wire.listening() as heard:
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
def test_what_needs_no_database_does_not_ask_it(warm: Client, wire: Wire, path: str) -> None:
    with wire.listening() as heard:
        warm.get(path)

    assert heard.round_trips == 0
