"""Refunds that are made in the dashboard, and have no key of ours; and disputes."""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    """
    ALTER TABLE gateway.refunds DROP CONSTRAINT refunds_pkey,
        ALTER COLUMN refund_key DROP NOT NULL,
        ADD CONSTRAINT refunds_refund_key_key UNIQUE (refund_key),
        ADD COLUMN refund_id uuid NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY
    """,
    "CREATE INDEX refunds_key ON gateway.refunds (key)",
    """
    CREATE TABLE gateway.disputes (
        dispute_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        key text NOT NULL REFERENCES gateway.payments (key),
        amount bigint NOT NULL CONSTRAINT disputes_amount_positive_check CHECK (amount > 0),
        reason text NOT NULL,
        status text NOT NULL DEFAULT 'OPEN' CONSTRAINT disputes_status_known_check
            CHECK (status IN ('OPEN', 'WON', 'LOST')),
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX disputes_key ON gateway.disputes (key)",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
