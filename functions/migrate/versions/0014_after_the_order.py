"""What happens after an order is placed: the customer acts on a payment, cancels, gets money back, disputes a charge.

The code before it runs on: it fills none of the new columns, and what it reads of the old ones means the same.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"


def _one_of(table: str, column: str, words: str) -> str:
    """Replaces the check; rows are not read again, since the new one allows all that the old one did."""
    name = f"{table}_{column}_known_check"
    return f"""
        ALTER TABLE {table} DROP CONSTRAINT {name},
            ADD CONSTRAINT {name} CHECK ({column} IN ({words})) NOT VALID
    """


_CHANGES = (
    # As it was sold. Of an order from before there is only what the catalogue says now.
    "ALTER TABLE order_items ADD COLUMN product_name text",
    _one_of(
        "payments",
        "status",
        "'PENDING', 'UNKNOWN', 'ACTION_REQUIRED', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED'",
    ),
    """
    CREATE TABLE payment_actions (
        order_id uuid PRIMARY KEY REFERENCES orders (id),
        type text NOT NULL,
        client_secret text,
        expires_at timestamptz NOT NULL,
        task_token text,
        ended_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE order_cancellations (
        order_id uuid PRIMARY KEY REFERENCES orders (id),
        requested_by text NOT NULL,
        refund_id uuid,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE refunds (
        id uuid PRIMARY KEY,
        order_id uuid NOT NULL REFERENCES orders (id),
        origin text NOT NULL CONSTRAINT refunds_origin_known_check
            CHECK (origin IN ('OPERATOR', 'CUSTOMER', 'PROVIDER')),
        requested_by text NOT NULL,
        reason text NOT NULL,
        amount bigint NOT NULL CONSTRAINT refunds_amount_positive_check CHECK (amount > 0),
        restock boolean NOT NULL,
        status text NOT NULL DEFAULT 'REQUESTED' CONSTRAINT refunds_status_known_check
            CHECK (status IN ('REQUESTED', 'COMPLETED', 'NEEDS_REVIEW', 'REJECTED')),
        error text,
        resumes integer NOT NULL DEFAULT 0,
        provider_refund_id text UNIQUE,
        refunded_at timestamptz,
        restocked_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX refunds_by_order ON refunds (order_id, id)",
    "CREATE INDEX refunds_open ON refunds (updated_at) WHERE status IN ('REQUESTED', 'NEEDS_REVIEW')",
    """
    CREATE TABLE refund_lines (
        refund_id uuid REFERENCES refunds (id),
        product_id uuid REFERENCES products (id),
        quantity integer NOT NULL CONSTRAINT refund_lines_quantity_positive_check CHECK (quantity > 0),
        PRIMARY KEY (refund_id, product_id)
    )
    """,
    # What was asked for under which key: a request that is repeated gets the same refund.
    """
    CREATE TABLE refund_requests (
        user_id text,
        key text,
        fingerprint text NOT NULL,
        refund_id uuid NOT NULL REFERENCES refunds (id),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, key)
    )
    """,
    """
    ALTER TABLE reservations ADD COLUMN returned integer NOT NULL DEFAULT 0,
        ADD CONSTRAINT reservations_returned_within_check CHECK (returned BETWEEN 0 AND quantity) NOT VALID
    """,
    # A refund's movements and messages name the refund and no order: an order may have several of them, and the code
    # before this one counts on one of each kind per order.
    "ALTER TABLE stock_movements ADD COLUMN refund_id uuid",
    """
    ALTER TABLE notifications ADD COLUMN refund_id uuid REFERENCES refunds (id), ALTER COLUMN order_id DROP NOT NULL,
        ADD CONSTRAINT notifications_of_one_check CHECK ((order_id IS NULL) <> (refund_id IS NULL)) NOT VALID
    """,
    """
    CREATE TABLE payment_disputes (
        provider_dispute_id text PRIMARY KEY,
        order_id uuid NOT NULL REFERENCES orders (id),
        amount bigint NOT NULL CONSTRAINT payment_disputes_amount_positive_check CHECK (amount > 0),
        currency text NOT NULL,
        reason text NOT NULL,
        status text NOT NULL CONSTRAINT payment_disputes_status_known_check CHECK (status IN ('OPEN', 'WON', 'LOST')),
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX payment_disputes_by_order ON payment_disputes (order_id)",
)


def upgrade() -> None:
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _CHANGES:
        op.execute(statement)
