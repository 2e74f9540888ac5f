"""Fills a database with orders that are over, by statements over whole sets: a million of them in a minute or so.

Every table that an order's way leads through gets the rows that it leaves there. Ids are UUIDv7 of past times, so new
rows are written where they are in production: at the end of every index.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from tools.bench.database import BenchDatabase

PRODUCTS: Final = 1000
UNIT_PRICE: Final = 100
"""Minor units; few, so that no order is large enough to be suspected of fraud."""
CURRENCY: Final = "USD"
USERS: Final = 20_000

_PLENTY: Final = 1_000_000_000
_LOADERS: Final = 2
"""Tables that are loaded at a time."""

# Kinds of ids.
_PRODUCT, _ORDER, _CREATED, _RESERVED, _CAPTURED, _MAIL, _TEXT, _PAYMENT = range(1, 9)

_FIRST_MILLISECOND: Final = 1_700_000_000_000
_SPACING_MILLISECONDS: Final = 60_000

_ID_FUNCTION: Final = f"""
    CREATE FUNCTION bench_id(kind bigint, number bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN CAST(lpad(to_hex({_FIRST_MILLISECOND} + {_SPACING_MILLISECONDS} * number), 12, '0') || '70008'
                || lpad(to_hex(kind), 3, '0') || lpad(to_hex(number), 12, '0') AS uuid)
"""

_CATALOGUE: Final = (
    f"""
    INSERT INTO products (id, name, unit_price, currency)
    SELECT bench_id({_PRODUCT}, number), 'Product ' || number, {UNIT_PRICE}, '{CURRENCY}'
    FROM generate_series(1, {PRODUCTS}) AS number
    """,
    f"""
    INSERT INTO stock (product_id, stocked, available)
    SELECT id, {_PLENTY}, {_PLENTY} FROM products
    """,
)

# One row an order: making an id costs more than reading it.
_NUMBERS: Final = f"""
    CREATE UNLOGGED TABLE bench_orders AS
    SELECT number, 'user-' || number % {USERS} AS user_id,
           bench_id({_PRODUCT}, 1 + number % {PRODUCTS}) AS product_id,
           bench_id({_ORDER}, number) AS order_id,
           bench_id({_CREATED}, number) AS created_id,
           bench_id({_RESERVED}, number) AS reserved_id,
           bench_id({_CAPTURED}, number) AS captured_id,
           bench_id({_MAIL}, number) AS mail_id,
           bench_id({_TEXT}, number) AS text_id,
           bench_id({_PAYMENT}, number) AS payment_id
    FROM generate_series(1, :orders) AS number
"""

# By table, the largest first. Each order is of one product, two units, paid, sold and told.
_ORDERS: Final[Mapping[str, str]] = {
    "saga_steps": """
        (order_id, step, status)
        SELECT order_id, step, 'SUCCEEDED'
        FROM bench_orders, unnest(ARRAY['CompleteOrder', 'ConfirmReservation', 'ProcessPayment', 'ReserveInventory',
                                        'SendConfirmation', 'VerifyStock']) AS step
    """,
    "outbox": """
        (id, type, subject, data, correlation_id, traceparent, status, attempts, claim_token, published_at)
        SELECT event.id, type, order_id, CAST(data AS jsonb), 'correlation-' || number,
               '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'PUBLISHED', 1, created_id, now()
        FROM bench_orders, LATERAL (VALUES
            (created_id, 'com.orders.order.created.v1', '{"totalAmount": 200, "currency": "USD"}'),
            (reserved_id, 'com.orders.inventory.reserved.v1', '{"ttlSeconds": 900}'),
            (captured_id, 'com.orders.payment.captured.v1', '{"amount": 200, "currency": "USD"}'),
            (mail_id, 'com.orders.notification.requested.v1',
             '{"notification": "order_confirmed", "channel": "email"}'),
            (text_id, 'com.orders.notification.requested.v1',
             '{"notification": "order_confirmed", "channel": "sms"}')
        ) AS event (id, type, data)
    """,
    "stock_movements": """
        (product_id, order_id, kind, quantity)
        SELECT product_id, order_id, kind, 2 FROM bench_orders, unnest(ARRAY['RESERVED', 'CONFIRMED']) AS kind
    """,
    "orders": f"""
        (id, user_id, status, currency, total_amount, payment_method, contact_email, contact_phone, locale,
         correlation_id)
        SELECT order_id, user_id, 'CONFIRMED', '{CURRENCY}', {2 * UNIT_PRICE}, 'pm_card_visa', 'somebody@example.com',
               '+34600123456', 'en', 'correlation-' || number
        FROM bench_orders
    """,
    "idempotency_keys": """
        (user_id, key, fingerprint, order_id)
        SELECT user_id, 'key-' || number, repeat('f', 64), order_id FROM bench_orders
    """,
    "payments": f"""
        (order_id, provider_key, provider_payment_id, status, attempts, amount, currency, captured)
        SELECT order_id, 'order-' || order_id, payment_id, 'CAPTURED', 1, {2 * UNIT_PRICE}, '{CURRENCY}',
               {2 * UNIT_PRICE}
        FROM bench_orders
    """,
    "gateway.payments": f"""
        (key, payment_id, status, attempts, amount, currency)
        SELECT 'order-' || order_id, payment_id, 'CAPTURED', 1, {2 * UNIT_PRICE}, '{CURRENCY}'
        FROM bench_orders
    """,
    "gateway.entries": f"""
        (key, kind, amount)
        SELECT 'order-' || order_id, 'CAPTURE', {2 * UNIT_PRICE} FROM bench_orders
    """,
    "notifications": """
        (id, order_id, type, channel, status, provider_id, lease_until, sent_at)
        SELECT told.id, order_id, 'order_confirmed', channel, 'SENT', 'provider-' || number, now(), now()
        FROM bench_orders, LATERAL (VALUES (mail_id, 'email'), (text_id, 'sms')) AS told (id, channel)
    """,
    "order_items": f"""
        (order_id, line_no, product_id, quantity, unit_price, product_name)
        SELECT order_id, 1, product_id, 2, {UNIT_PRICE}, 'Made up' FROM bench_orders
    """,
    "reservations": """
        (order_id, product_id, quantity, status, expires_at)
        SELECT order_id, product_id, 2, 'CONFIRMED', now() FROM bench_orders
    """,
    "inbox": """
        (consumer, event_id)
        SELECT consumer, event_id FROM bench_orders, LATERAL (VALUES
            ('inventory-events', reserved_id), ('payment-events', captured_id), ('notify', mail_id),
            ('notify', text_id)
        ) AS delivery (consumer, event_id)
    """,
    "order_rates": """
        (user_id, lane) SELECT DISTINCT user_id, 0 FROM bench_orders
    """,
}

INDEXES: Final = """
    SELECT coalesce(
               'ALTER TABLE ' || indrelid::regclass || ' DROP CONSTRAINT ' || own.conname,
               'DROP INDEX ' || indexrelid::regclass),
           coalesce(
               'ALTER TABLE ' || indrelid::regclass || ' ADD CONSTRAINT ' || own.conname || ' '
                   || pg_get_constraintdef(own.oid),
               pg_get_indexdef(indexrelid))
    FROM pg_index LEFT JOIN pg_constraint AS own ON (own.conindid, own.conrelid) = (indexrelid, indrelid)
    WHERE indrelid = ANY (CAST(CAST(:tables AS text[]) AS regclass[]))
      AND NOT EXISTS (SELECT FROM pg_constraint AS key WHERE key.contype = 'f' AND key.conindid = indexrelid)
    ORDER BY indrelid, indexrelid
"""
"""How each index of `:tables` is dropped and made again: sorting once is quicker than keeping an index in order a
million times. What foreign keys lead to is not among them; it stays."""

_COUNT_SOLD: Final = """
    UPDATE stock SET available = available - units, sold = units
    FROM (SELECT product_id, sum(quantity) AS units FROM reservations GROUP BY product_id) AS sale
    WHERE sale.product_id = stock.product_id
"""


def stock_up(database: BenchDatabase) -> list[UUID]:
    """Makes a catalogue with more stock than anybody can buy. Returns the products' ids."""
    with database.administer() as connection:
        connection.run(_ID_FUNCTION)
        for statement in _CATALOGUE:
            connection.run(statement)
        return [row[0] for row in connection.run("SELECT id FROM products ORDER BY id") or []]


def fill(database: BenchDatabase, orders: int) -> None:
    """Adds so many finished orders to a stocked database that has none, and lets Postgres take note of them."""
    with database.administer() as connection:
        indexes = connection.run(INDEXES, tables=list(_ORDERS)) or []
        for drop, _ in indexes:
            connection.run(drop)
        connection.run(_NUMBERS.replace(":orders", str(orders)))
    _load(database, [f"INSERT INTO {table} {rows}" for table, rows in _ORDERS.items()])
    _load(database, [create for _, create in indexes])
    with database.administer() as connection:
        connection.run(_COUNT_SOLD)
        connection.run("DROP TABLE bench_orders")
        connection.run("VACUUM (ANALYZE)")


def order_id(number: int) -> UUID:
    """The id of the order that `fill` made with this number, from 1."""
    milliseconds = _FIRST_MILLISECOND + _SPACING_MILLISECONDS * number
    return UUID(f"{milliseconds:012x}70008{_ORDER:03x}{number:012x}")


def user_of(number: int) -> str:
    """Whose order that is."""
    return f"user-{number % USERS}"


def _load(database: BenchDatabase, statements: Iterable[str]) -> None:
    def load(statement: str) -> None:
        with database.administer() as connection:
            # No trigger, so no foreign key either, has to look at rows that are right by construction.
            connection.run("SET session_replication_role = replica; SET maintenance_work_mem = '256MB'")
            connection.run(statement)

    with ThreadPoolExecutor(_LOADERS) as loaders:
        for loaded in [loaders.submit(load, statement) for statement in statements]:
            loaded.result()
