"""The payment provider's events name a payment by the provider's own id.

By itself: an index is built without locking anybody out, outside of a transaction, and this can be repeated if it
breaks off.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

# A concurrent build waits for the transactions before it to end, and locks nobody out meanwhile.
_BUILD_LOCK_TIMEOUT = "60s"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        # What a broken attempt has left is invalid and in the way.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payments_by_provider_id")
        op.execute("CREATE INDEX CONCURRENTLY payments_by_provider_id ON payments (provider_payment_id)")
        op.execute("RESET lock_timeout")
