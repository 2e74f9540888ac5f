"""Webhooks: what an endpoint hears of, how fast it is, secrets that were replaced, and requests that are repeated.

The code before it runs on: new columns have defaults, and it knows nothing of the new tables. A secret that it replaces
has its overlap in `webhook_endpoints.previous_secret_until` as ever; only those that are older still are in the table.

A delivery of a test belongs to no order, and its `order_id` is its endpoint's id. It is not NULL because the code
before this cannot read that, and so it references no table.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it. The
# reference to `orders` asks for a lock against its readers and writers, for a moment.
_LOCK_TIMEOUT = "2s"

_CHANGES = (
    """
    CREATE TABLE webhook_older_secrets (
        endpoint_id uuid REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
        version integer,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (endpoint_id, version)
    )
    """,
    """
    CREATE TABLE webhook_requests (
        user_id text,
        key text,
        fingerprint text NOT NULL,
        endpoint_id uuid NOT NULL,
        secret_version integer,
        delivery_id uuid,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, key)
    )
    """,
    "CREATE INDEX webhook_requests_by_age ON webhook_requests (created_at)",
    """
    ALTER TABLE webhook_endpoints
        ADD COLUMN event_types text[],
        ADD COLUMN is_slow boolean NOT NULL DEFAULT false,
        ADD COLUMN tests_until timestamptz
    """,
    "ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_order_id_fkey",
)


def upgrade() -> None:
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _CHANGES:
        op.execute(statement)
