"""Who has agreed to get messages, what is left of the limits on them, and SUPPRESSED notifications.

The code before it runs on: it neither knows the tables nor writes the new status.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"

# The rows that there are satisfied the narrower check: looking at them locks no writer out.
_STATUS = (
    """
    ALTER TABLE notifications
        DROP CONSTRAINT IF EXISTS notifications_status_known_check,
        ADD CONSTRAINT notifications_status_known_check
            CHECK (status IN ('QUEUED', 'SENDING', 'SENT', 'FAILED', 'UNCERTAIN', 'SUPPRESSED')) NOT VALID
    """,
    "ALTER TABLE notifications VALIDATE CONSTRAINT notifications_status_known_check",
)

_TABLES = (
    """
    CREATE TABLE recipients (
        id uuid PRIMARY KEY,
        user_id text NOT NULL,
        channel text NOT NULL CONSTRAINT recipients_channel_known_check CHECK (channel IN ('email', 'sms')),
        address text NOT NULL,
        locale text NOT NULL,
        confirmed_at timestamptz,
        code_version integer NOT NULL DEFAULT 1,
        code_sent integer NOT NULL DEFAULT 0,
        code_attempts smallint NOT NULL DEFAULT 0,
        code_expires_at timestamptz NOT NULL,
        key text NOT NULL,
        fingerprint text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (user_id, channel, address),
        UNIQUE (user_id, key)
    )
    """,
    "CREATE INDEX recipients_unconfirmed ON recipients (code_expires_at) WHERE confirmed_at IS NULL",
    """
    CREATE TABLE account_addresses (
        user_id text PRIMARY KEY,
        address text,
        asked_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX account_addresses_by_age ON account_addresses (asked_at)",
    # Rows are updated with every message, so each page keeps room for their next versions.
    """
    CREATE TABLE allowances (
        scope text,
        key text,
        full_at timestamptz NOT NULL,
        PRIMARY KEY (scope, key)
    ) WITH (fillfactor = 50)
    """,
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for statement in _STATUS:
            op.execute(statement)
        op.execute("RESET lock_timeout")
    for statement in _TABLES:
        op.execute(statement)
