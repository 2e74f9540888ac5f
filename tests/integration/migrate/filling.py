"""Orders that are over, in the words of the first revision: those are never to change."""

from typing import Final

from orders.db import Credentials, Database
from tests.support.factories import execute

PRODUCTS: Final = 100
UNITS: Final = 1_000_000

# An id is an MD5 of what it is the id of: repeatable, and spread as widely as any.
_STATEMENTS: Final = (
    """
    INSERT INTO products (id, name, unit_price, currency)
    SELECT CAST(md5('product' || n) AS uuid), 'Product ' || n, 100, 'USD' FROM generate_series(1, :products) AS n
    """,
    "INSERT INTO stock (product_id, stocked, available) SELECT id, :units, :units FROM products",
    """
    INSERT INTO orders (id, user_id, status, currency, total_amount, payment_method, contact_email, locale,
                        correlation_id)
    SELECT CAST(md5('order' || n) AS uuid), 'user-' || mod(n, 1000), 'CONFIRMED', 'USD', 200, 'pm_card_visa',
           'somebody@example.com', 'en', 'correlation-' || n
    FROM generate_series(1, :orders) AS n
    """,
    """
    INSERT INTO order_items (order_id, line_no, product_id, quantity, unit_price)
    SELECT CAST(md5('order' || n) AS uuid), 1, CAST(md5('product' || 1 + mod(n, :products)) AS uuid), 2, 100
    FROM generate_series(1, :orders) AS n
    """,
    "INSERT INTO idempotency_keys (user_id, key, fingerprint, order_id) SELECT user_id, id, 'f', id FROM orders",
    """
    INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, published_at)
    SELECT CAST(md5(type || id) AS uuid), type, id, CAST(data AS jsonb), correlation_id, 'trace', 'PUBLISHED', now()
    FROM orders CROSS JOIN (VALUES
        ('com.orders.order.created.v1', '{"totalAmount": 200, "currency": "USD"}'),
        ('com.orders.notification.requested.v1', '{"notification": "order_confirmed"}')
    ) AS event (type, data)
    """,
    """
    INSERT INTO inbox (consumer, event_id)
    SELECT 'notify', id FROM outbox WHERE type = 'com.orders.notification.requested.v1'
    """,
    """
    INSERT INTO saga_steps (order_id, step, status)
    SELECT id, step, 'SUCCEEDED'
    FROM orders, unnest(ARRAY['VerifyStock', 'ReserveInventory', 'ProcessPayment', 'ConfirmReservation',
                              'SendConfirmation', 'CompleteOrder']) AS step
    """,
    """
    INSERT INTO reservations (order_id, product_id, quantity, status, expires_at)
    SELECT order_id, product_id, quantity, 'CONFIRMED', now() FROM order_items
    """,
    """
    INSERT INTO stock_movements (product_id, order_id, kind, quantity)
    SELECT product_id, order_id, kind, quantity FROM order_items, unnest(ARRAY['RESERVED', 'CONFIRMED']) AS kind
    """,
    """
    UPDATE stock SET sold = units, available = available - units
    FROM (SELECT product_id, sum(quantity) AS units FROM reservations GROUP BY product_id) AS sale
    WHERE sale.product_id = stock.product_id
    """,
    """
    INSERT INTO payments (order_id, provider_key, status, amount, currency, captured)
    SELECT id, 'order-' || id, 'CAPTURED', 200, 'USD', 200 FROM orders
    """,
    """
    INSERT INTO notifications (id, order_id, type, channel, status, lease_until, sent_at)
    SELECT CAST(md5('notification' || id) AS uuid), id, 'order_confirmed', 'email', 'SENT', now(), now() FROM orders
    """,
    "ANALYZE",
)


def fill(credentials: Credentials, orders: int) -> None:
    """Fills an empty database at the first revision."""
    database = Database(lambda: credentials)
    execute(database, "SELECT set_config('statement_timeout', '0', false)")
    for statement in _STATEMENTS:
        execute(database, statement, **_parameters(statement, orders))
    database.engine.dispose()


def _parameters(statement: str, orders: int) -> dict[str, int]:
    every = {"products": PRODUCTS, "units": UNITS, "orders": orders}
    return {name: value for name, value in every.items() if f":{name}" in statement}
