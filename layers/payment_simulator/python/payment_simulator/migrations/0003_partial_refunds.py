"""Refunds of a part, each under a key of its own, and payments that wait for the customer."""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """
    ALTER TABLE gateway.payments ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
        ADD CONSTRAINT payments_refunded_within_check CHECK (refunded BETWEEN 0 AND amount),
        DROP CONSTRAINT payments_status_known_check,
        ADD CONSTRAINT payments_status_known_check
            CHECK (status IN ('OPEN', 'ACTION_REQUIRED', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED'))
    """,
    "UPDATE gateway.payments SET refunded = amount WHERE status = 'REFUNDED'",
    """
    CREATE TABLE gateway.refunds (
        refund_key text PRIMARY KEY,
        key text NOT NULL REFERENCES gateway.payments (key),
        amount bigint NOT NULL CONSTRAINT refunds_amount_positive_check CHECK (amount > 0),
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
