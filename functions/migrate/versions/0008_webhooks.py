"""Customers' webhooks: their endpoints, and what was delivered to them.

The code before it runs on: nothing that it knows is changed.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it. The
# reference to `orders` asks for a lock against its writers, for a moment.
_LOCK_TIMEOUT = "2s"

_TABLES = (
    """
    CREATE TABLE webhook_endpoints (
        id uuid PRIMARY KEY,
        user_id text NOT NULL,
        slot smallint NOT NULL CONSTRAINT webhook_endpoints_slot_bounded_check CHECK (slot BETWEEN 1 AND 5),
        url text NOT NULL,
        description text,
        secret_version integer NOT NULL DEFAULT 1,
        previous_secret_until timestamptz,
        status text NOT NULL DEFAULT 'ENABLED' CONSTRAINT webhook_endpoints_status_known_check
            CHECK (status IN ('ENABLED', 'DISABLED')),
        disabled_reason text,
        disabled_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (user_id, slot)
    )
    """,
    """
    CREATE TABLE webhook_deliveries (
        id uuid PRIMARY KEY,
        endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
        event_id uuid NOT NULL,
        event_type text NOT NULL,
        order_id uuid NOT NULL REFERENCES orders (id),
        body text NOT NULL,
        status text NOT NULL DEFAULT 'PENDING' CONSTRAINT webhook_deliveries_status_known_check
            CHECK (status IN ('PENDING', 'DELIVERED', 'FAILED')),
        attempts integer NOT NULL DEFAULT 0,
        first_attempt integer NOT NULL DEFAULT 1,
        started_at timestamptz NOT NULL DEFAULT now(),
        next_attempt_at timestamptz,
        lease_until timestamptz,
        last_status smallint,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        delivered_at timestamptz,
        UNIQUE (endpoint_id, event_id)
    )
    """,
    "CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, id DESC)",
    "CREATE INDEX webhook_deliveries_under_way ON webhook_deliveries (endpoint_id) WHERE lease_until IS NOT NULL",
)


def upgrade() -> None:
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _TABLES:
        op.execute(statement)
