"""Operators search all orders, and see what became of one of them: an index for each way to ask.

The code before it runs on: it need not know of an index. By itself: indexes are built without locking anybody out,
outside of a transaction, and this can be repeated if it breaks off.

Each ends with the order's id, so that a page is read in the order of time from where the one before it ended.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

# A concurrent build waits for the transactions before it to end, and locks nobody out meanwhile.
_BUILD_LOCK_TIMEOUT = "60s"

_INDEXES = {
    "orders_by_status": "orders (status, id DESC)",
    "orders_by_failure_reason": "orders (failure_reason, id DESC) WHERE failure_reason IS NOT NULL",
    "orders_by_correlation_id": "orders (correlation_id, id DESC)",
    "orders_by_email": "orders (lower(contact_email), id DESC) WHERE contact_email IS NOT NULL",
    "orders_by_phone": "orders (contact_phone, id DESC) WHERE contact_phone IS NOT NULL",
    "order_items_by_product": "order_items (product_id, order_id DESC)",
    "idempotency_keys_by_key": "idempotency_keys (key, order_id DESC)",
    "webhook_deliveries_by_order": "webhook_deliveries (order_id)",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, indexed in _INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {indexed}")
        op.execute("RESET lock_timeout")
