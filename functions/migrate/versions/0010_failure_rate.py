"""The circuit breaker counts the calls of a window and the orders that fail in it, beside the failures themselves.

The code before it runs on: it counts its failures in a row in the column that both use, and leaves the new ones alone.
Where it finds more failures than its limit it opens the circuit at the next one; a success sets it back.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"


def upgrade() -> None:
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    op.execute("""
        ALTER TABLE circuit_breakers
            ADD COLUMN window_started_at timestamptz,
            ADD COLUMN calls integer NOT NULL DEFAULT 0,
            ADD COLUMN failing_keys text[] NOT NULL DEFAULT '{}'
    """)
