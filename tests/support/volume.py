"""A database with a million orders, for tests that look at what statements cost when it is not small.

Only the tables that reads look into are filled, by statements over whole sets. One customer has a hundred thousand of
the orders, all in the older half of time; one has a single one, the rest some dozens each. Nearly all are confirmed;
ten of the largest customer's wait for review. Ten orders were placed a second. Of ten thousand products the newest
thousand are on sale. A tenth of all movements is of one product, which then went out of fashion.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import pg8000.native

from orders.db import Credentials
from tools.bench.volume import INDEXES

ORDERS: Final = 1_000_000
PRODUCTS: Final = 10_000
ON_SALE: Final = 1_000
"""The newest of them."""
USERS: Final = 20_000

LARGEST_CUSTOMER: Final = "user-largest"
ORDERS_OF_LARGEST: Final = ORDERS // 10
STRIDE: Final = 5
"""Every so many-th order of the older half is the largest customer's, and of the busiest product."""
IN_REVIEW: Final = 10
"""All of them are the largest customer's."""
SMALLEST_CUSTOMER: Final = "user-smallest"
ORDER_OF_SMALLEST: Final = 500_001
ORDERS_WITH_STEPS: Final = 2
"""Every so many-th order of theirs has the journal of its saga."""

BUSIEST_PRODUCT: Final = 1
IDLE_PRODUCT: Final = PRODUCTS

UNKNOWN_PAYMENTS: Final = 20
REPAIRS: Final = 10_000
CONFLICTS: Final = 20
"""Of these repairs."""
LOW: Final = 100
"""Products with a low-stock alert."""
WEBHOOKS: Final = 10_000
"""One in a hundred fails, and one in a thousand is disabled; each has some dozens of deliveries, or none."""

_LOADERS: Final = 2
_FIRST_MILLISECOND: Final = 1_700_000_000_000
SPACING_MILLISECONDS: Final = 100
"""Between two orders."""
_ORDER_TAIL: Final = "7000800000000000000a"
_PRODUCT_TAIL: Final = "7000800000000000000b"
_ENDPOINT_TAIL: Final = "7000800000000000000c"

_LARGEST: Final = f"number % {STRIDE} = 0 AND number <= {STRIDE * ORDERS_OF_LARGEST}"
_PRODUCT: Final = f"""
    CAST(lpad(to_hex({_FIRST_MILLISECOND} + {{number}}), 12, '0') || '{_PRODUCT_TAIL}' AS uuid)
"""
_PRODUCT_OF_ORDER: Final = _PRODUCT.format(
    number=f"CASE WHEN {_LARGEST} THEN {BUSIEST_PRODUCT} ELSE 2 + number % {PRODUCTS - 2} END"
)

_ENDPOINT: Final = f"""
    CAST(lpad(to_hex({_FIRST_MILLISECOND} + {{number}}), 12, '0') || '{_ENDPOINT_TAIL}' AS uuid)
"""

_CATALOGUE: Final = (
    f"""
    INSERT INTO products (id, name, unit_price, currency, active)
    SELECT {_PRODUCT.format(number="number")}, 'Product ' || number, 100, 'USD', number > {PRODUCTS - ON_SALE}
    FROM generate_series(1, {PRODUCTS}) AS number
    """,
    f"""
    INSERT INTO stock (product_id, stocked, available, low_since)
    SELECT id, 1000000000, 1000000000, CASE WHEN row_number() OVER (ORDER BY id) % {PRODUCTS // LOW} = 0 THEN now() END
    FROM products
    """,
    f"""
    INSERT INTO webhook_endpoints (id, user_id, slot, url, status)
    SELECT {_ENDPOINT.format(number="number")}, 'user-' || number, 1, 'https://shop.example.com/hooks',
           CASE WHEN number % 1000 = 1 THEN 'DISABLED' ELSE 'ENABLED' END
    FROM generate_series(0, {WEBHOOKS - 1}) AS number
    """,
)

# Making an id costs more than reading it.
_NUMBERS: Final = f"""
    CREATE UNLOGGED TABLE numbered AS
    SELECT number, milliseconds,
           CAST(lpad(to_hex(milliseconds), 12, '0') || '{_ORDER_TAIL}' AS uuid) AS order_id,
           {_PRODUCT_OF_ORDER} AS product_id
    FROM generate_series(1, {ORDERS}) AS number
    CROSS JOIN LATERAL (
        SELECT {_FIRST_MILLISECOND} + {SPACING_MILLISECONDS} * CAST(number AS bigint)
    ) AS placed (milliseconds)
"""

# The largest first.
_TABLES: Final[Mapping[str, str]] = {
    "orders": f"""
        (id, user_id, status, failure_reason, currency, total_amount, payment_method, contact_email, contact_phone,
         locale, correlation_id, created_at)
        SELECT order_id,
               CASE WHEN {_LARGEST} THEN '{LARGEST_CUSTOMER}'
                    WHEN number = {ORDER_OF_SMALLEST} THEN '{SMALLEST_CUSTOMER}'
                    ELSE 'user-' || number % {USERS} END,
               CASE WHEN {_LARGEST} AND number % {STRIDE * ORDERS_OF_LARGEST // IN_REVIEW} = 0 THEN 'NEEDS_REVIEW'
                    WHEN number % 33 = 0 THEN 'CANCELLED'
                    WHEN number % 1000 = 7 THEN 'PROCESSING'
                    ELSE 'CONFIRMED' END,
               CASE WHEN {_LARGEST} THEN NULL
                    WHEN number % 330 = 0 THEN 'FRAUD_SUSPECTED'
                    WHEN number % 33 = 0 THEN 'PAYMENT_DECLINED' END,
               'USD', 200, 'pm_card_visa',
               CASE WHEN {_LARGEST} THEN 'Largest@example.com' ELSE 'user-' || number % {USERS} || '@example.com' END,
               '+34600' || lpad(CAST(number % {USERS} AS text), 6, '0'), 'en', 'correlation-' || number,
               to_timestamp(milliseconds / 1000.0)
        FROM numbered
    """,
    "payments": f"""
        (order_id, provider_key, status, amount, currency, captured)
        SELECT order_id, 'order-' || number, status, 200, 'USD', CASE status WHEN 'CAPTURED' THEN 200 ELSE 0 END
        FROM numbered CROSS JOIN LATERAL (
            SELECT CASE WHEN number % {ORDERS // UNKNOWN_PAYMENTS} = 1 THEN 'UNKNOWN'
                        WHEN number % 33 = 0 AND NOT ({_LARGEST}) THEN 'DECLINED' ELSE 'CAPTURED' END
        ) AS payment (status)
    """,
    "order_items": """
        (order_id, line_no, product_id, quantity, unit_price, product_name)
        SELECT order_id, 1, product_id, 2, 100, 'Made up' FROM numbered
    """,
    "webhook_deliveries": f"""
        (id, endpoint_id, event_id, event_type, order_id, body, status, attempts, last_status, last_error)
        SELECT order_id, {_ENDPOINT.format(number=f"number % {WEBHOOKS}")}, order_id, 'com.orders.order.confirmed.v1',
               order_id, '', 'DELIVERED', 1, CASE WHEN number % {WEBHOOKS} % 100 = 0 THEN 500 ELSE 200 END,
               CASE WHEN number % {WEBHOOKS} % 100 = 0 THEN 'HTTP_STATUS' END
        FROM numbered WHERE number % {STRIDE} = 1
    """,
    "repairs": f"""
        (kind, order_id, detail)
        SELECT CASE WHEN number % {ORDERS // CONFLICTS} = 0 THEN 'PAYMENT_CONFLICT' ELSE 'SAGA_RESUMED' END,
               order_id, ''
        FROM numbered WHERE number % {ORDERS // REPAIRS} = 0
    """,
    "idempotency_keys": """
        (user_id, key, fingerprint, order_id)
        SELECT 'user-' || number, 'key-' || number, repeat('f', 64), order_id FROM numbered
    """,
    "stock_movements": """
        (product_id, order_id, kind, quantity)
        SELECT product_id, order_id, 'RESERVED', 2 FROM numbered
    """,
    "saga_steps": f"""
        (order_id, step, status)
        SELECT order_id, step, 'SUCCEEDED'
        FROM numbered, unnest(ARRAY['CompleteOrder', 'ConfirmReservation', 'ProcessPayment', 'ReserveInventory',
                                    'SendConfirmation', 'VerifyStock']) AS step
        WHERE {_LARGEST} AND number % {STRIDE * ORDERS_WITH_STEPS} = 0
    """,
}


def order_id(number: int) -> UUID:
    """The id of an order, from 1, in the order of time."""
    return UUID(f"{_FIRST_MILLISECOND + SPACING_MILLISECONDS * number:012x}{_ORDER_TAIL}")


def placed_at(number: int) -> datetime:
    """When that was."""
    return datetime.fromtimestamp((_FIRST_MILLISECOND + SPACING_MILLISECONDS * number) / 1000, UTC)


def product_id(number: int) -> UUID:
    """The id of a product, from 1, in the order of time."""
    return UUID(f"{_FIRST_MILLISECOND + number:012x}{_PRODUCT_TAIL}")


def fill(credentials: Credentials) -> None:
    """Fills a migrated, empty database, and lets Postgres take note of what there is."""
    (indexes,) = _load(credentials, [INDEXES], tables=list(_TABLES))
    # One after the other: a table's lock is exclusive.
    _load(credentials, ["; ".join([*(drop for drop, _ in indexes), *_CATALOGUE, _NUMBERS])])
    _load(credentials, [f"INSERT INTO {table} {rows}" for table, rows in _TABLES.items()])
    _load(credentials, [create for _, create in indexes if create.startswith("ALTER")], loaders=1)
    _load(credentials, [create for _, create in indexes if not create.startswith("ALTER")])
    _load(credentials, ["DROP TABLE numbered"])
    # Before anybody looks, so that no autovacuum does it in the middle of a measurement.
    _load(
        credentials,
        [f"VACUUM (ANALYZE) {table}" for table in (*_TABLES, "products", "stock", "webhook_endpoints")],
    )


def _load(
    credentials: Credentials, statements: Iterable[str], *, loaders: int = _LOADERS, **parameters: object
) -> list[list[list[str]]]:
    def load(statement: str) -> list[list[str]]:
        connection = pg8000.native.Connection(
            credentials.username,
            database=credentials.dbname,
            unix_sock=f"{credentials.host}/.s.PGSQL.{credentials.port}",
        )
        try:
            # No trigger, so no foreign key either, has to look at rows that are right by construction.
            connection.run(
                "SET statement_timeout = 0; SET lock_timeout = 0; SET synchronous_commit = off; "
                "SET session_replication_role = replica; SET maintenance_work_mem = '256MB'"
            )
            return connection.run(statement, **parameters) or []
        finally:
            connection.close()

    with ThreadPoolExecutor(loaders) as pool:
        return list(pool.map(load, statements))
