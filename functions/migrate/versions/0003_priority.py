"""Priority and delay: of two events that are due the urgent one is published first, and some are not due yet.

The code before it runs on: the new columns have defaults or may be NULL. Its relay, in its last minute, finds its index
gone and reads the table, which is slow and right.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build locks nobody out while it waits for the transactions before it to end.
_BUILD_LOCK_TIMEOUT = "60s"

# Each takes its lock for a moment and can be repeated. A check is first declared and then held against the rows that
# there are, because only the latter takes time, and it locks no writer out.
_COLUMNS = (
    """
    ALTER TABLE orders
        ADD COLUMN IF NOT EXISTS priority text NOT NULL DEFAULT 'normal',
        DROP CONSTRAINT IF EXISTS orders_priority_known_check,
        ADD CONSTRAINT orders_priority_known_check CHECK (priority IN ('normal', 'high')) NOT VALID
    """,
    """
    ALTER TABLE outbox
        ADD COLUMN IF NOT EXISTS priority text NOT NULL DEFAULT 'normal',
        ADD COLUMN IF NOT EXISTS not_before timestamptz,
        DROP CONSTRAINT IF EXISTS outbox_priority_known_check,
        ADD CONSTRAINT outbox_priority_known_check CHECK (priority IN ('normal', 'high')) NOT VALID
    """,
    "ALTER TABLE orders VALIDATE CONSTRAINT orders_priority_known_check",
    "ALTER TABLE outbox VALIDATE CONSTRAINT outbox_priority_known_check",
)

# The CASE keeps statements about single rows away from the index; see `tests.support.tables`.
_INDEX = "outbox_due"
_INDEXED = "outbox (priority, available_at, id) WHERE CASE WHEN status = 'PENDING' THEN true ELSE false END"
# The marks of single events chose it when Postgres had no statistics, and read everybody's.
_HARMFUL_INDEX = "outbox_pending"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for statement in _COLUMNS:
            op.execute(statement)
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        # What a broken attempt has left is invalid and in the way.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_INDEX}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_INDEX} ON {_INDEXED}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_HARMFUL_INDEX}")
        op.execute("RESET lock_timeout")
