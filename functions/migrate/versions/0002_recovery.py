"""Recovery: who was resumed and what was repaired, low stock, the circuit breaker, and the indexes that sweepers need.

The code before it runs on: it names its columns, each new one has a default or may be NULL, and what is taken away is
an index that does harm.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build locks nobody out while it waits for the transactions before it to end.
_BUILD_LOCK_TIMEOUT = "60s"

# The CASEs keep statements about one row away from these indexes; see `tests.support.tables`.
_INDEXES = {
    "orders_unfinished": """
        orders (updated_at) WHERE CASE WHEN status IN ('PENDING', 'PROCESSING') THEN true ELSE false END
    """,
    "payments_undecided": """
        payments (updated_at) WHERE CASE WHEN status IN ('PENDING', 'UNKNOWN') THEN true ELSE false END
    """,
    "reservations_expiring": "reservations (expires_at) WHERE CASE WHEN status = 'ACTIVE' THEN true ELSE false END",
    "idempotency_keys_by_age": "idempotency_keys (created_at)",
    "outbox_order_created": "outbox (subject) WHERE type = 'com.orders.order.created.v1'",
}
# The steps' statements about one order's reservations chose it, and read everybody's. Nothing else needs it.
_HARMFUL_INDEX = "reservations_active"

# References lock `orders` and `products` against writers, the columns lock `stock` against everybody. In this order
# no step can hold what the next statement waits for while it waits for what this one holds: the steps write orders
# before they touch stock, never after.
_ADDITIONS = (
    """
    CREATE TABLE saga_recoveries (
        order_id uuid PRIMARY KEY REFERENCES orders (id),
        resumes integer NOT NULL DEFAULT 0 CONSTRAINT saga_recoveries_resumes_counted_check CHECK (resumes >= 0),
        next_check_at timestamptz NOT NULL
    )
    """,
    """
    CREATE TABLE repairs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        order_id uuid NOT NULL REFERENCES orders (id),
        detail text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX repairs_by_order ON repairs (order_id)",
    """
    CREATE TABLE stock_alerts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        product_id uuid NOT NULL REFERENCES products (id),
        available bigint NOT NULL,
        threshold bigint NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE circuit_breakers (
        name text PRIMARY KEY,
        failures integer NOT NULL DEFAULT 0 CONSTRAINT circuit_breakers_failures_counted_check CHECK (failures >= 0),
        open_until timestamptz,
        probe uuid,
        probe_until timestamptz,
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    # A constant default stands in the catalogue: no row is written.
    """
    ALTER TABLE stock
        ADD COLUMN low_stock_threshold bigint NOT NULL DEFAULT 10,
        ADD COLUMN low_since timestamptz
    """,
    "CREATE INDEX stock_low ON stock (product_id) WHERE low_since IS NOT NULL",
)


def upgrade() -> None:
    # The indexed tables are in use and may be large, so the indexes are built beside their writers, outside of any
    # transaction. They come first because they can be made again; the rest is made in one transaction or not at all.
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, definition in _INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_HARMFUL_INDEX}")
        op.execute("RESET lock_timeout")
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _ADDITIONS:
        op.execute(statement)
