"""The simulator's payments and its ledger."""

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None

# The first releases made these tables in revision 0001 of the orders' own migrations.
_LEDGER_EXISTS = text("SELECT to_regclass('gateway.entries') IS NOT NULL")

_STATEMENTS = (
    "CREATE SCHEMA gateway",
    """
    CREATE TABLE gateway.payments (
        key text PRIMARY KEY,
        payment_id uuid NOT NULL UNIQUE,
        status text NOT NULL CONSTRAINT payments_status_known_check
            CHECK (status IN ('OPEN', 'CAPTURED', 'DECLINED', 'VOIDED', 'REFUNDED')),
        attempts integer NOT NULL DEFAULT 0,
        amount bigint NOT NULL,
        currency text NOT NULL,
        error text,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    # No uniqueness per key: the ledger must be able to show a double capture, or no check could find one.
    """
    CREATE TABLE gateway.entries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL REFERENCES gateway.payments (key),
        kind text NOT NULL CONSTRAINT entries_kind_known_check CHECK (kind IN ('CAPTURE', 'REFUND')),
        amount bigint NOT NULL CONSTRAINT entries_amount_positive_check CHECK (amount > 0),
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX entries_key ON gateway.entries (key)",
)


def upgrade() -> None:
    if op.get_bind().scalar(_LEDGER_EXISTS):
        return
    for statement in _STATEMENTS:
        op.execute(statement)
