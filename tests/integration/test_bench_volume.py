"""A made-up order of `bench.volume` leaves in every table what a real one leaves: the benchmarks read those tables."""

from uuid import UUID

from functions.create_order.place_order import place_order
from functions.inventory_events.low_stock import watch_stock
from functions.notify.notify import notify
from functions.outbox_relay.claims import Claims
from functions.payment_events.reconcile import reconcile
from functions.saga_steps import order, payment, stock
from orders.db import Credentials, Database
from orders.domain import Channel, Notification
from orders.events import InventoryReserved, NotificationRequested, PaymentCaptured
from payment_simulator.gateway import SimulatedGateway
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.support import tables
from tests.support.consumers import cloud_event, notification_requested
from tests.support.factories import TRACE, order_body, order_request
from tests.support.payments import BEHAVIOUR
from tests.support.postgres import Server
from tools.bench import volume
from tools.bench.database import BenchDatabase

Filled = dict[str, frozenset[str]]
"""The columns of each table that hold something."""

OF_A_USER = {"account_addresses", "allowances"}
ADDED_UP = {"counted"}
"""Emptied by each round of maintenance."""
"""They hold a row for a user, whatever they order, and are forgotten within a day."""


def fulfil(database: Database, product: UUID) -> None:
    """One order of one product, from the POST until every consumer has had its events."""
    gateway = SimulatedGateway(database, BEHAVIOUR)
    order_id = place_order(database, order_request(order_body([(product, 2)]))).order_id
    stock.verify(database, order_id)
    stock.reserve(database, order_id, 900, TRACE)
    payment.process(database, gateway, order_id, TRACE)
    stock.confirm(database, order_id)
    order.send_confirmation(database, order_id)
    order.complete(database, order_id, TRACE)
    claims = Claims(database)
    claims.mark_published(claims.claim(100))
    for channel in Channel:
        requested = notification_requested(order_id, Notification.ORDER_CONFIRMED, channel)
        data = requested.payload()
        assert isinstance(data, NotificationRequested)
        notify(database, FakeSender(), permission(), requested, data)
    reconcile(
        database,
        gateway,
        cloud_event(order_id, PaymentCaptured(amount=2 * volume.UNIT_PRICE, currency="USD")),
    )
    watch_stock(database, cloud_event(order_id, InventoryReserved(ttl_seconds=900)))


def filled(database: BenchDatabase) -> Filled:
    found = {}
    with database.administer() as connection:
        for table in tables.metadata.sorted_tables:
            if table.fullname in {*OF_A_USER, *ADDED_UP}:
                continue
            columns = [column.name for column in table.columns]
            any_of_each = ", ".join(f"bool_or({name} IS NOT NULL)" for name in columns)
            (held,) = connection.run(f"SELECT {any_of_each} FROM {table.fullname}") or []
            found[table.fullname] = frozenset(
                name for name, is_held in zip(columns, held, strict=True) if is_held
            )
    return found


def stocked(credentials: Credentials) -> tuple[BenchDatabase, list[UUID]]:
    database = BenchDatabase(credentials)
    return database, volume.stock_up(database)


def rows_of_one_order(database: BenchDatabase, table: str) -> int:
    with database.administer() as connection:
        ((rows,),) = connection.run(f"SELECT count(*) FROM {table}") or []
    return int(rows)


def test_a_made_up_order_leaves_what_a_real_one_leaves(postgres_server: Server) -> None:
    with postgres_server.fresh_database() as first, postgres_server.fresh_database() as second:
        real, products = stocked(first)
        process = Database(lambda: first)
        fulfil(process, products[0])
        process.engine.dispose()
        made_up, _ = stocked(second)
        volume.fill(made_up, 1)

        made_up_columns, real_columns = filled(made_up), filled(real)
        missing = {table: sorted(columns - made_up_columns[table]) for table, columns in real_columns.items()}
        assert {table: columns for table, columns in missing.items() if columns} == {}
        rows = {
            table: (rows_of_one_order(made_up, table), rows_of_one_order(real, table))
            for table in real_columns
        }
        assert {table: counts for table, counts in rows.items() if counts[0] != counts[1]} == {}
