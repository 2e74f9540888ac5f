"""A refund moves a product's stock once, and tells its customer once on each channel.

By itself, after the columns of 0014: an index is built without locking anybody out, outside of a transaction, and this
can be repeated if it breaks off.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

# A concurrent build waits for the transactions before it to end, and locks nobody out meanwhile.
_BUILD_LOCK_TIMEOUT = "60s"

_UNIQUE_INDEXES = {
    "stock_movements_of_refund": "stock_movements (refund_id, product_id)",
    "notifications_of_refund": "notifications (refund_id, type, channel)",
}

# 0014 has made them for new rows only, without reading the old ones under its lock.
_UNCHECKED = (
    ("payments", "payments_status_known_check"),
    ("reservations", "reservations_returned_within_check"),
    ("notifications", "notifications_of_one_check"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, indexed in _UNIQUE_INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {indexed} WHERE refund_id IS NOT NULL")
        for table, constraint in _UNCHECKED:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")
        op.execute("RESET lock_timeout")
