"""Which payment intent a key has, and which keys are closed."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA stripe")
    op.execute("""
        CREATE TABLE stripe.payments (
            key text PRIMARY KEY,
            payment_intent_id text UNIQUE,
            closed_at timestamptz,
            error text,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT payments_declined_is_closed_check CHECK (error IS NULL OR closed_at IS NOT NULL)
        )
    """)
