"""A product that becomes low on stock is alerted once, until there was enough of it again."""

import importlib
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from functions.inventory_events.low_stock import watch_stock
from orders import inventory
from orders.db import Credentials, Database
from orders.events import CONSUMER_OF, InventoryReserved, PaymentCaptured, Queue
from orders.observability import metrics
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.factories import Product, add_order, add_product, execute, rows

THRESHOLD = 10
"""The column's default."""
RESERVED = InventoryReserved(ttl_seconds=900)


@pytest.fixture
def other_process(credentials: Credentials) -> Iterator[Database]:
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()


@pytest.fixture
def handler(database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    handler = importlib.import_module("functions.inventory_events.handler")
    monkeypatch.setattr(handler, "database", database)
    return handler.handler


def reserve(database: Database, *lines: tuple[Product, int]) -> UUID:
    """What ReserveInventory leaves behind, without its event."""
    order_id = add_order(database, lines)
    database.transact(lambda connection: inventory.reserve(connection, order_id, 900))
    return order_id


def watch(database: Database, order_id: UUID) -> None:
    watch_stock(database, cloud_event(order_id, RESERVED))


def alerts(database: Database) -> list[tuple[UUID, int]]:
    """Product and units left, in order."""
    found = rows(database, "SELECT product_id, available FROM stock_alerts ORDER BY id")
    return [(row["product_id"], row["available"]) for row in found]


@pytest.mark.parametrize(("in_stock", "alerted"), [(THRESHOLD + 2, False), (THRESHOLD + 1, True)])
def test_a_product_is_low_from_its_threshold_down(database: Database, in_stock: int, alerted: bool) -> None:
    product = add_product(database, available=in_stock)
    watch(database, reserve(database, (product, 1)))
    assert alerts(database) == ([(product.product_id, THRESHOLD)] if alerted else [])


def test_a_product_has_a_threshold_of_its_own(database: Database) -> None:
    product = add_product(database, available=100)
    execute(database, "UPDATE stock SET low_stock_threshold = 99")
    watch(database, reserve(database, (product, 1)))
    assert rows(database, "SELECT available, threshold FROM stock_alerts") == [
        {"available": 99, "threshold": 99}
    ]


def test_only_the_low_products_of_an_order_are_alerted(database: Database) -> None:
    low, plenty, lower = (add_product(database, available=units) for units in (11, 100, 3))
    watch(database, reserve(database, (low, 1), (plenty, 1), (lower, 1)))
    assert sorted(alerts(database)) == sorted([(low.product_id, 10), (lower.product_id, 2)])


def test_further_orders_for_a_low_product_raise_no_further_alert(database: Database) -> None:
    product = add_product(database, available=THRESHOLD)
    for _ in range(3):
        watch(database, reserve(database, (product, 1)))
    assert len(alerts(database)) == 1


def test_a_product_that_falls_low_again_is_alerted_again(database: Database) -> None:
    product = add_product(database, available=THRESHOLD)
    watch(database, reserve(database, (product, 1)))
    execute(database, "UPDATE stock SET stocked = stocked + 50, available = available + 50, low_since = NULL")
    watch(database, reserve(database, (product, 50)))
    assert len(alerts(database)) == 2


def test_the_same_event_delivered_again_takes_effect_once(database: Database) -> None:
    product = add_product(database, available=THRESHOLD)
    event = cloud_event(reserve(database, (product, 1)), RESERVED)
    watch_stock(database, event)
    execute(database, "UPDATE stock SET low_since = NULL")
    watch_stock(database, event)
    assert len(alerts(database)) == 1
    assert rows(database, "SELECT consumer, event_id FROM inbox") == [
        {"consumer": CONSUMER_OF[Queue.INVENTORY_MANAGEMENT], "event_id": event.id}
    ]


def test_events_at_the_same_time_raise_one_alert(database: Database, other_process: Database) -> None:
    products = [add_product(database, available=THRESHOLD) for _ in range(3)]
    orders = [
        reserve(database, *((product, 1) for product in products[::direction])) for direction in (1, -1)
    ]
    both = threading.Barrier(2)

    def deliver(database: Database, order_id: UUID) -> None:
        both.wait()
        watch(database, order_id)

    threads = [
        threading.Thread(target=deliver, args=each)
        for each in zip((database, other_process), orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(product_id for product_id, _ in alerts(database)) == sorted(
        product.product_id for product in products
    )


def test_an_alert_is_counted(database: Database) -> None:
    product = add_product(database, available=THRESHOLD)
    metrics.clear_metrics()
    watch(database, reserve(database, (product, 1)))
    assert metrics.metric_set["LowStockAlerts"]["Value"] == [1.0]
    metrics.clear_metrics()


# The handler


def test_a_poison_message_is_given_up_alone(
    handler: Any, database: Database, dead_letters: FakeDeadLetterQueue
) -> None:
    product = add_product(database, available=THRESHOLD)
    good = cloud_event(reserve(database, (product, 1)), RESERVED)
    stray = cloud_event(good.subject, PaymentCaptured(amount=1, currency="USD"))
    bodies = ("not json", good.model_dump_json(), stray.model_dump_json())
    published(database, *bodies)
    assert failed(handler(batch(*bodies), lambda_context())) == []
    assert dead_letters.bodies == [bodies[0], bodies[2]]
    assert len(alerts(database)) == 1


def test_messages_that_there_is_no_time_for_go_back_unbegun(handler: Any, database: Database) -> None:
    product = add_product(database, available=THRESHOLD)
    event = cloud_event(reserve(database, (product, 1)), RESERVED)
    assert failed(
        handler(batch(event.model_dump_json(), event.model_dump_json()), lambda_context(remaining_ms=1_000))
    ) == ["message-0", "message-1"]
    assert rows(database, "SELECT * FROM inbox") == []
