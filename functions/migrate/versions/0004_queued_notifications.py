"""Notifications are rows from the moment they are asked for: QUEUED before anybody sends them.

The code before it runs on: it never meets a QUEUED row, because what it cannot read is the event that comes with one.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"

# The rows that there are satisfied the narrower check: looking at them locks no writer out.
_STATEMENTS = (
    """
    ALTER TABLE notifications
        DROP CONSTRAINT IF EXISTS notifications_status_known_check,
        ADD CONSTRAINT notifications_status_known_check
            CHECK (status IN ('QUEUED', 'SENDING', 'SENT', 'FAILED', 'UNCERTAIN')) NOT VALID
    """,
    "ALTER TABLE notifications VALIDATE CONSTRAINT notifications_status_known_check",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for statement in _STATEMENTS:
            op.execute(statement)
        op.execute("RESET lock_timeout")
