"""Personal data has an end: contact data may be missing from an order that has ended, and customers may ask for it.

The code before it runs on: it still writes both columns with every order, and knows nothing of the table.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build locks nobody out while it waits for the transactions before it to end.
_BUILD_LOCK_TIMEOUT = "60s"

# The CASE keeps statements about one row away from the index; see `tests.support.tables`.
_INDEX = "orders_with_contact"
_INDEXED = """
    orders (updated_at)
    WHERE CASE WHEN contact_email IS NOT NULL AND status IN ('CONFIRMED', 'CANCELLED') THEN true ELSE false END
"""

_CHANGES = (
    "ALTER TABLE orders ALTER COLUMN contact_email DROP NOT NULL, ALTER COLUMN payment_method DROP NOT NULL",
    """
    CREATE TABLE erasure_requests (
        user_id text PRIMARY KEY,
        requested_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        # What a broken attempt has left is invalid and in the way.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_INDEX} ON {_INDEXED}")
        op.execute("RESET lock_timeout")
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _CHANGES:
        op.execute(statement)
