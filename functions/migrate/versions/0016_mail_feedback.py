"""Mails that came back and mails that were complained of, and the addresses that get none any more.

The code before it runs on: it writes neither the new statuses nor the new column, and knows nothing of the tables.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build waits for the transactions before it to end, and locks nobody out meanwhile.
_BUILD_LOCK_TIMEOUT = "60s"

# May be repeated. The rows that there are satisfied the narrower check: looking at them locks no writer out.
_CHANGES = (
    """
    ALTER TABLE notifications
        DROP CONSTRAINT IF EXISTS notifications_status_known_check,
        ADD CONSTRAINT notifications_status_known_check CHECK (status IN (
            'QUEUED', 'SENDING', 'SENT', 'FAILED', 'UNCERTAIN', 'SUPPRESSED', 'BOUNCED', 'COMPLAINED'
        )) NOT VALID
    """,
    "ALTER TABLE notifications VALIDATE CONSTRAINT notifications_status_known_check",
    "ALTER TABLE recipients ADD COLUMN IF NOT EXISTS code_provider_id text",
)

# SES names a mail by the id that it gave it.
_INDEXES = {
    "notifications_by_provider_id": "notifications (provider_id) WHERE provider_id IS NOT NULL",
    "recipients_by_code_provider_id": "recipients (code_provider_id) WHERE code_provider_id IS NOT NULL",
}

_TABLES = (
    # An address may be erased, and is not to be written to all the same: it is found by its digest.
    """
    CREATE TABLE suppressed_addresses (
        id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        digest text NOT NULL UNIQUE,
        address text,
        reason text NOT NULL CONSTRAINT suppressed_addresses_reason_known_check
            CHECK (reason IN ('BOUNCED', 'COMPLAINED')),
        order_id uuid REFERENCES orders (id),
        since timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX suppressed_addresses_by_order ON suppressed_addresses (order_id) WHERE address IS NOT NULL",
    # The salt is this database's own: no table of digests that somebody has made elsewhere fits.
    """
    CREATE TABLE address_salt (
        id smallint PRIMARY KEY DEFAULT 1 CONSTRAINT address_salt_one_row_check CHECK (id = 1),
        salt uuid NOT NULL DEFAULT gen_random_uuid()
    )
    """,
    "INSERT INTO address_salt DEFAULT VALUES",
    """
    CREATE FUNCTION address_digest(address text) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT encode(sha256(convert_to(salt || ' ' || lower(address), 'UTF8')), 'hex') FROM address_salt
    $$
    """,
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        for statement in _CHANGES:
            op.execute(statement)
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, indexed in _INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {indexed}")
        op.execute("RESET lock_timeout")
    for statement in _TABLES:
        op.execute(statement)
