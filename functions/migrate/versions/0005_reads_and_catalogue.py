"""Reads and the catalogue: indexes for lists, who adjusted stock and why, and administrators' keys.

The code before it runs on: new columns may be NULL. The indexes were chosen from the plans that
tests/integration/read_orders/test_plans_at_volume.py looks at:

- `orders_by_user_and_status`: a customer's orders in a rare status. By `orders_by_user` a page of them reads all the
  customer's orders: 100,000 rows for twenty.
- `products_on_sale`: a page of the shop window. By the primary key it reads all that was ever sold before it.
- `stock_movements_by_product`: a page of one product's movements. There was no index to begin with, so it read all of
  the table, which is the one that grows fastest.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build locks nobody out while it waits for the transactions before it to end.
_BUILD_LOCK_TIMEOUT = "60s"

_INDEXES = {
    "orders_by_user_and_status": "orders (user_id, status, id DESC)",
    "products_on_sale": "products (id) WHERE active",
    "stock_movements_by_product": "stock_movements (product_id, id DESC)",
}

# Products are locked before movements, as who creates a product does it.
_ADDITIONS = (
    """
    CREATE TABLE catalogue_requests (
        user_id text,
        key text,
        fingerprint text NOT NULL,
        product_id uuid NOT NULL REFERENCES products (id),
        movement_id bigint REFERENCES stock_movements (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, key)
    )
    """,
    "ALTER TABLE stock_movements ADD COLUMN actor text, ADD COLUMN reason text",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, definition in _INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute("RESET lock_timeout")
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _ADDITIONS:
        op.execute(statement)
