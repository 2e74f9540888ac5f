"""Records the SQL that today's functions send, for the migrations to come: it is what will be running then.

    python -m tests.integration.migrate.recording

writes `recorded/<newest revision>.json`. Run it when a release is cut. What a later migration finds is the code of the
newest recording before it.
"""

import os
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID, uuid4

import pytest

from tests.conftest import FUNCTION_ENVIRONMENT

os.environ.update(FUNCTION_ENVIRONMENT)

from functions.create_order.place_order import place_order
from functions.inventory_events.low_stock import watch_stock
from functions.maintenance.deadline import Deadline
from functions.maintenance.payments import settle_payments
from functions.maintenance.retention import remove_old_rows
from functions.maintenance.stock import expire_reservations, rearm_alerts
from functions.maintenance.stuck_orders import StuckOrders
from functions.notify.notify import notify
from functions.outbox_relay.claims import Claims
from functions.outbox_relay.messages import QueueMessage, compose
from functions.payment_events.reconcile import reconcile
from functions.read_orders.queries import (
    list_notifications,
    list_orders,
    list_products,
    read_order,
    read_product,
    read_progress,
)
from orders.db import Credentials, Database
from orders.events import (
    CloudEvent,
    InventoryReserved,
    NotificationRequested,
    PaymentEvent,
)
from orders.executions import Executions
from orders.payments.breaker import CircuitBreaker
from orders.payments.provider import PaymentProvider
from payment_simulator.gateway import SimulatedGateway
from tests.integration.migrate.stories import Recording, Story
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.integration.saga.pipeline import Order, Pipeline
from tests.support.asl import Fault, When
from tests.support.factories import ALICE, add_product, order_body, order_request, rows
from tests.support.payments import BEHAVIOUR
from tests.support.postgres import Server
from tools.round_trips import RoundTripCounter

_HOUR: Final = Deadline(lambda: 3600)


class Pipelines:
    """Everything that runs in production, on one database, without a cloud around it."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.gateway = CircuitBreaker(SimulatedGateway(database, BEHAVIOUR), database)
        self.products = [add_product(database, unit_price=price) for price in (1250, 4000)]
        self._saga = Pipeline(database, self.gateway)
        self._saga.deploy(monkeypatch)

    def tell(self, payment_method: str, *faults: Fault) -> UUID:
        """An order from its post to its last mail, and what its customer reads of it meanwhile. Answers its id."""
        lines = [(product.product_id, 2) for product in self.products]
        body = order_body(lines, paymentMethod=payment_method)
        order_id = place_order(self.database, order_request(body, key=str(uuid4()))).order_id
        self._relay()
        Order(self._saga, order_id, [product_id for product_id, _ in lines]).run(*faults)
        self._relay()
        read_order(self.database, ALICE, str(order_id), cancellation_window_minutes=30)
        read_progress(self.database, ALICE, str(order_id), PaymentProvider.SIMULATOR)
        list_notifications(self.database, ALICE, str(order_id))
        list_orders(self.database, ALICE, status=None, limit=20, cursor=None)
        list_products(self.database, limit=20, cursor=None)
        read_product(self.database, str(lines[0][0]))
        return order_id

    def maintain(self) -> None:
        StuckOrders(self.database, _no_step_functions, _HOUR).resume()
        expire_reservations(self.database, _HOUR)
        settle_payments(self.database, self.gateway, _HOUR)
        rearm_alerts(self.database, _HOUR)
        remove_old_rows(self.database, _HOUR)

    def _relay(self) -> None:
        """The relay's two statements, and what each event's consumer makes of it."""
        claims = Claims(self.database)
        claimed = claims.claim(100)
        claims.mark_published(claimed)
        for event in claimed:
            message = compose(event)
            assert isinstance(message, QueueMessage)
            self._consume(CloudEvent.model_validate_json(message.body))

    def _consume(self, event: CloudEvent) -> None:
        match event.payload():
            case PaymentEvent():
                reconcile(self.database, self.gateway, event)
            case InventoryReserved():
                watch_stock(self.database, event)
            case NotificationRequested() as requested:
                notify(self.database, FakeSender(), permission(), event, requested)


def _no_step_functions() -> Executions:
    raise AssertionError("no order is stuck")


ENDINGS: Final[dict[str, Callable[[Pipelines], UUID]]] = {
    "CONFIRMED": lambda pipelines: pipelines.tell("pm_card_visa"),
    "CANCELLED": lambda pipelines: pipelines.tell("pm_card_declined"),
    "CANCELLED, everything undone": lambda pipelines: pipelines.tell(
        "pm_card_visa", Fault("CompleteOrder", When.BEFORE)
    ),
}
"""The ways through the pipeline, by where they end."""


def record(credentials: Credentials) -> list[Story]:
    with RoundTripCounter.to(credentials) as counter, pytest.MonkeyPatch.context() as monkeypatch:
        database = Database(lambda: counter.credentials)
        pipelines = Pipelines(database, monkeypatch)
        stories = list(_record(counter, pipelines))
        database.engine.dispose()
    return stories


def _record(counter: RoundTripCounter, pipelines: Pipelines) -> Iterable[Story]:
    product_ids = [product.product_id for product in pipelines.products]
    for ending, tell in ENDINGS.items():
        with counter.listening() as said:
            order_id = tell(pipelines)
            statements = list(said.statements)
        yield Story(ending.partition(",")[0], order_id, product_ids, statements)
    with counter.listening() as said:
        pipelines.maintain()
        yield Story(None, None, [], list(said.statements))


def main() -> None:
    with Server.running() as server, server.fresh_database() as credentials:
        database = Database(lambda: credentials)
        (row,) = rows(database, "SELECT version_num FROM alembic_version")
        database.engine.dispose()
        Recording(row["version_num"], record(credentials)).save()


if __name__ == "__main__":
    main()
