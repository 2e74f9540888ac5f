"""The costs that do not depend on the machine: statements, round trips, and rows read, of every use case.

Each is measured twice, for one and for many lines or events, on tables with thousands of finished orders behind them.
A query per line makes the second dearer than the first; an index that is not used makes both read the table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from functions.cancel_order.cancel_order import CancellationRequest, cancel_order
from functions.create_order.place_order import place_order
from functions.deliver_webhooks.deliver import WebhookDelivery
from functions.deliver_webhooks.schedule import Schedule
from functions.inventory_events.low_stock import watch_stock
from functions.manage_catalogue import products
from functions.notify import limits
from functions.notify.notify import notify
from functions.outbox_relay.claims import BackOff, Burial, Claims
from functions.payment_events.reconcile import reconcile
from functions.read_orders import queries
from functions.saga_steps import order, payment, stock
from functions.saga_steps.events import Failure
from orders.db import Database
from orders.domain import FailureReason, Notification, SagaStep
from orders.events import (
    CloudEvent,
    InventoryReserved,
    NotificationRequested,
    PaymentCaptured,
    WebhookAttemptScheduled,
)
from orders.payments.breaker import CircuitBreaker
from orders.payments.gateway import PaymentGateway
from orders.payments.provider import PaymentProvider
from orders.webhooks.keys import SigningKeys
from payment_simulator.gateway import SimulatedGateway
from tests.integration.deliver_webhooks.webhook_setup import CONFIRMED
from tests.integration.deliver_webhooks.webhook_setup import FakeSender as WebhookSender
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.support import plans
from tests.support.consumers import cloud_event, notification_requested
from tests.support.factories import ALICE, EMAIL, TRACE, execute, order_body, order_request, rows
from tests.support.payments import BEHAVIOUR
from tests.support.plans import explaining
from tests.support.postgres import Server
from tests.support.webhooks import KEY, add_endpoint
from tools.bench import database as bench_database
from tools.bench import volume
from tools.round_trips import RoundTripCounter

BEHIND = 10_000
"""Finished orders in the tables, with twice as many published events."""

ONE, MANY = 1, 40
"""Lines of an order, or events."""

WINDOW_MINUTES = 30

FAILURE = Failure(step=SagaStep.PROCESS_PAYMENT, error="PaymentDeclined")


@dataclass(frozen=True)
class CountedSystem:
    """A process's database behind a counter, and other processes that cost it nothing."""

    counter: RoundTripCounter
    database: Database
    others: Database
    gateway: PaymentGateway
    """Elsewhere, but behind our circuit breaker."""
    products: list[UUID]

    def order(self, lines: int, *steps: "Step") -> UUID:
        """An order of so many lines that has taken these steps."""
        body = order_body([(product, 1) for product in self.products[:lines]])
        order_id = place_order(self.others, order_request(body)).order_id
        for step in steps:
            step(self, self.others, order_id)
        return order_id

    def pending(self, events: int) -> Claims:
        """The outbox with so many events to publish."""
        execute(
            self.others,
            "UPDATE outbox SET status = 'PUBLISHED', published_at = now() "
            "WHERE status = 'PENDING' AND available_at <= now()",
        )
        execute(
            self.others,
            """
            INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent)
            SELECT gen_random_uuid(), type, subject, data, correlation_id, traceparent FROM outbox
            WHERE type = 'com.orders.order.created.v1' LIMIT :events
            """,
            events=events,
        )
        return Claims(self.database)


Step = Callable[[CountedSystem, Database, UUID], object]
Case = Callable[[CountedSystem, int], Callable[[], object]]
"""Prepares what the use case works on (of a size), and answers the use case."""


def verify(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return stock.verify(database, order_id)


def reserve(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return stock.reserve(database, order_id, 900, TRACE)


def process(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return payment.process(database, system.gateway, order_id, TRACE)


def confirm(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return stock.confirm(database, order_id)


def send_confirmation(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return order.send_confirmation(database, order_id)


def complete(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return order.complete(database, order_id, TRACE)


def restore(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return stock.restore(database, order_id)


def refund(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return payment.refund(database, system.gateway, order_id, TRACE)


def release(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return stock.release(database, order_id)


def send_cancellation(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return order.send_cancellation(database, order_id, FailureReason.PAYMENT_DECLINED, TRACE)


def mark_cancelled(system: CountedSystem, database: Database, order_id: UUID) -> object:
    return order.cancel(database, order_id, FAILURE, {}, TRACE)


PAID = (verify, reserve, process)
SOLD = (*PAID, confirm)


def step(this: Step, *before: Step) -> Case:
    def prepare(system: CountedSystem, lines: int) -> Callable[[], object]:
        order_id = system.order(lines, *before)
        return lambda: this(system, system.database, order_id)

    return prepare


def place(system: CountedSystem, lines: int) -> Callable[[], object]:
    request = order_request(order_body([(product, 1) for product in system.products[:lines]]))
    return lambda: place_order(system.database, request)


def cancel(*before: Step) -> Case:
    def prepare(system: CountedSystem, lines: int) -> Callable[[], object]:
        request = CancellationRequest(system.order(lines, *before), ALICE, False, WINDOW_MINUTES, TRACE)
        return lambda: cancel_order(system.database, lambda token: None, request)

    return prepare


def read_order(system: CountedSystem, lines: int) -> Callable[[], object]:
    order_id = str(system.order(lines))
    return lambda: queries.read_order(system.database, ALICE, order_id, WINDOW_MINUTES)


def read_progress(system: CountedSystem, lines: int) -> Callable[[], object]:
    order_id = str(system.order(lines, verify, reserve, process))
    return lambda: queries.read_progress(system.database, ALICE, order_id, PaymentProvider.SIMULATOR)


def list_notifications(system: CountedSystem, lines: int) -> Callable[[], object]:
    order_id = str(system.order(lines, *SOLD, complete))
    return lambda: queries.list_notifications(system.database, ALICE, order_id)


def read_product(system: CountedSystem, size: int) -> Callable[[], object]:
    return lambda: queries.read_product(system.database, str(system.products[0]))


def list_products(system: CountedSystem, size: int) -> Callable[[], object]:
    return lambda: queries.list_products(system.database, limit=size, cursor=None)


def list_all_products(system: CountedSystem, size: int) -> Callable[[], object]:
    return lambda: products.list_products(system.database, limit=size, cursor=None)


def list_orders(system: CountedSystem, size: int) -> Callable[[], object]:
    body = order_body([(system.products[0], 1)])
    for _ in range(size + 1):
        place_order(system.others, order_request(body, user_id=f"lister-{size}"))
    return lambda: queries.list_orders(
        system.database, f"lister-{size}", status=None, limit=size, cursor=None
    )


def poll_in_vain(system: CountedSystem, events: int) -> Callable[[], object]:
    # As after a drain: so many rows have just left the index of pending ones.
    claims = system.pending(events)
    system.pending(0)
    return lambda: claims.claim(250)


def claim(system: CountedSystem, events: int) -> Callable[[], object]:
    claims = system.pending(events)
    return lambda: claims.claim(250)


def mark_published(system: CountedSystem, events: int) -> Callable[[], object]:
    claims = system.pending(events)
    claimed = claims.claim(250)
    return lambda: claims.mark_published(claimed)


def back_off(system: CountedSystem, events: int) -> Callable[[], object]:
    claims = system.pending(events)
    failures = [BackOff(event, 1.0, 0, "Throttled") for event in claims.claim(250)]
    return lambda: claims.back_off(failures)


def bury(system: CountedSystem, events: int) -> Callable[[], object]:
    claims = system.pending(events)
    failures = [Burial(event, "UnknownEventType") for event in claims.claim(250)]
    return lambda: claims.bury(failures)


def send_mail(system: CountedSystem, lines: int) -> Callable[[], object]:
    requested = notification_requested(system.order(lines), Notification.ORDER_CONFIRMED)
    data = requested.payload()
    assert isinstance(data, NotificationRequested)
    # Known for a day, once it was asked for.
    system.others.transact(lambda connection: limits.remember(connection, ALICE, EMAIL))
    return lambda: notify(system.database, FakeSender(), permission(), requested, data)


def reconcile_payment(system: CountedSystem, lines: int) -> Callable[[], object]:
    captured = cloud_event(
        system.order(lines, *PAID), PaymentCaptured(amount=lines * volume.UNIT_PRICE, currency="USD")
    )
    return lambda: reconcile(system.database, system.gateway, captured)


def watch_for_low_stock(system: CountedSystem, lines: int) -> Callable[[], object]:
    reserved = cloud_event(system.order(lines, verify, reserve), InventoryReserved(ttl_seconds=900))
    return lambda: watch_stock(system.database, reserved)


def listen(system: CountedSystem, deliveries: int) -> tuple[WebhookDelivery, CloudEvent]:
    """An order of somebody with two webhooks and so many deliveries behind them, and the event of its end. Many others
    have webhooks, too."""
    execute(
        system.others,
        """
        INSERT INTO webhook_endpoints (id, user_id, slot, url)
        SELECT gen_random_uuid(), gen_random_uuid()::text, 1, 'https://shop.example.com/' FROM generate_series(1, 1000)
        """,
    )
    user_id = str(uuid4())
    body = order_body([(system.products[0], 1)])
    order_id = place_order(system.others, order_request(body, user_id=user_id)).order_id
    for slot in (1, 2):
        execute(
            system.others,
            """
            INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, order_id, body, status)
            SELECT gen_random_uuid(), :endpoint_id, gen_random_uuid(), 'type', :order_id, '{}', 'DELIVERED'
            FROM generate_series(1, :deliveries)
            """,
            endpoint_id=add_endpoint(system.others, user_id=user_id, slot=slot),
            order_id=order_id,
            deliveries=25 * deliveries,
        )
    delivery = WebhookDelivery(system.database, SigningKeys(lambda: KEY), WebhookSender(), Schedule((1.0,)))
    return delivery, cloud_event(order_id, CONFIRMED)


def fan_out(system: CountedSystem, deliveries: int) -> Callable[[], object]:
    delivery, event = listen(system, deliveries)
    return lambda: delivery.handle(event, CONFIRMED)


def make_attempt(system: CountedSystem, deliveries: int) -> Callable[[], object]:
    delivery, event = listen(system, deliveries)
    replace(delivery, database=system.others).handle(event, CONFIRMED)
    (row, _) = rows(system.others, "SELECT id FROM webhook_deliveries WHERE event_id = :id", id=event.id)
    scheduled = WebhookAttemptScheduled(delivery_id=row["id"], attempt=1)
    return lambda: delivery.handle(event, scheduled)


@dataclass(frozen=True)
class Cost:
    """Of one use case. Statements and round trips are the same for any size, rows read are not."""

    statements: int
    """Without BEGIN and COMMIT."""
    round_trips: int
    rows: int = 0
    rows_each: int = 0
    """For each line or event."""


CASES: dict[str, tuple[Case, Cost]] = {
    # One row says how many orders the user placed lately, if any were counted in this order's lane.
    "place an order": (place, Cost(2, 4, rows=1, rows_each=1)),
    "VerifyStock": (step(verify), Cost(3, 5, rows=1, rows_each=2)),
    "ReserveInventory": (step(reserve, verify), Cost(3, 5, rows_each=3)),
    # Two of them are the circuit breaker's, and three of the refund's: a look at it before each call, a word after.
    "ProcessPayment": (step(process, verify, reserve), Cost(6, 8, rows=3)),
    "ConfirmReservation": (step(confirm, *PAID), Cost(2, 4, rows_each=4)),
    "SendConfirmation": (step(send_confirmation, *SOLD), Cost(2, 4, rows=2, rows_each=2)),
    "CompleteOrder": (step(complete, *SOLD, send_confirmation), Cost(2, 4, rows=2, rows_each=2)),
    "RestoreInventory": (step(restore, *SOLD), Cost(3, 5, rows_each=4)),
    "RefundPayment": (step(refund, *PAID), Cost(8, 12, rows=4)),
    "ReleaseReservation": (step(release, verify, reserve), Cost(3, 5, rows_each=4)),
    "SendCancellation": (step(send_cancellation, verify), Cost(3, 5, rows=1)),
    "MarkCancelled": (step(mark_cancelled, verify, send_cancellation), Cost(3, 5, rows=2)),
    # The last two end a wait for the customer, if there is one.
    "cancel an order": (cancel(*PAID), Cost(5, 7, rows=4)),
    "cancel an order that has not begun": (cancel(), Cost(3, 5, rows=2)),
    # Six are the grant of the refund.
    "cancel a confirmed order": (
        cancel(*SOLD, send_confirmation, complete),
        Cost(9, 11, rows=6, rows_each=2),
    ),
    "relay: poll in vain": (poll_in_vain, Cost(1, 1)),
    "relay: claim": (claim, Cost(1, 1, rows_each=2)),
    "relay: mark published": (mark_published, Cost(1, 1, rows_each=1)),
    "relay: back off": (back_off, Cost(1, 1, rows_each=1)),
    "relay: bury": (bury, Cost(1, 1, rows_each=1)),
    "GET /orders/{id}": (read_order, Cost(1, 1, rows_each=2)),
    # The payment and the reservations say which steps had anything to do.
    "GET /orders/{id}/status": (read_progress, Cost(1, 1, rows=5, rows_each=1)),
    "GET /orders/{id}/notifications": (list_notifications, Cost(1, 1, rows=3)),
    # A page reads one more than it shows, to know whether another follows.
    "GET /orders": (list_orders, Cost(1, 1, rows=2, rows_each=2)),
    "GET /products": (list_products, Cost(1, 1, rows=2, rows_each=2)),
    "GET /admin/products": (list_all_products, Cost(1, 1, rows=2, rows_each=2)),
    "GET /products/{id}": (read_product, Cost(1, 1, rows=2)),
    # One of the rows is the address of the account.
    "send a mail": (send_mail, Cost(5, 9, rows=5, rows_each=2)),
    "reconcile a payment": (reconcile_payment, Cost(4, 6, rows=2)),
    "watch for low stock": (watch_for_low_stock, Cost(2, 4, rows_each=2)),
    # Whatever was delivered before.
    "an order's end for two webhooks": (fan_out, Cost(3, 5, rows=5)),
    "an attempt at a webhook": (make_attempt, Cost(3, 5, rows=10)),
}

# Orders that nobody has got round to yet. They come after Postgres has taken its statistics, as a burst or an outage
# does: the indexes of what is unfinished look empty to the planner, and are not.
BACKLOG = (
    "INSERT INTO order_cancellations (order_id, requested_by) SELECT id, 'somebody' FROM orders",
    """
    INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock, status)
    SELECT gen_random_uuid(), id, 'CUSTOMER', 'somebody', 'Cancelled by the customer', 100, true, 'COMPLETED'
    FROM orders
    """,
    """
    INSERT INTO orders (id, user_id, status, currency, total_amount, payment_method, contact_email, locale,
                        correlation_id)
    SELECT gen_random_uuid(), 'somebody', 'PROCESSING', 'USD', 100, 'pm_card_visa', 'somebody@example.com', 'en',
           'backlog' FROM generate_series(1, 500)
    """,
    """
    INSERT INTO reservations (order_id, product_id, quantity, status, expires_at)
    SELECT orders.id, (SELECT id FROM products LIMIT 1), 1, 'ACTIVE', now() + interval '1 hour' FROM orders
    WHERE correlation_id = 'backlog'
    """,
    """
    INSERT INTO payments (order_id, provider_key, status, amount, currency)
    SELECT id, 'order-' || id, 'UNKNOWN', 100, 'USD' FROM orders WHERE correlation_id = 'backlog'
    """,
    """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, available_at)
    SELECT gen_random_uuid(), 'com.orders.order.created.v1', id, '{"totalAmount": 100, "currency": "USD"}', 'backlog',
           '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', now() + interval '1 hour'
    FROM orders WHERE correlation_id = 'backlog'
    """,
)


@pytest.fixture(scope="module")
def system(postgres_server: Server) -> Iterator[CountedSystem]:
    with postgres_server.fresh_database() as credentials, RoundTripCounter.to(credentials) as counter:
        filled = bench_database.BenchDatabase(credentials)
        products = volume.stock_up(filled)
        volume.fill(filled, BEHIND)
        with filled.administer() as connection:
            for statement in BACKLOG:
                connection.run(statement)
        others, overheard = Database(lambda: credentials), Database(lambda: counter.credentials)
        others.transact(lambda connection: connection.execute(text("SELECT 1")))
        for name, value in plans.SETTINGS.items():
            postgres_server.administer(f"ALTER DATABASE {credentials.dbname} SET {name} = '{value}'")
        overheard.transact(lambda connection: connection.execute(text("SELECT 1")))
        simulated = SimulatedGateway(others, BEHAVIOUR)
        gateway = CircuitBreaker(simulated, overheard)
        yield CountedSystem(counter, overheard, others, gateway, products)
        for database in (others, overheard):
            database.engine.dispose()


@pytest.mark.parametrize("size", [ONE, MANY])
@pytest.mark.parametrize("case", CASES)
def test_a_use_case_costs_what_it_did(system: CountedSystem, case: str, size: int) -> None:
    prepare, cost = CASES[case]
    run = prepare(system, size)
    with explaining(system.database) as explained, system.counter.listening() as heard:
        run()

    assert len(heard.work) == cost.statements
    assert heard.round_trips == cost.round_trips
    assert explained.rows_scanned <= cost.rows + cost.rows_each * size, explained.scans
