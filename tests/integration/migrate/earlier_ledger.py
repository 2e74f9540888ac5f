"""The simulator's ledger as earlier releases made it: the statements of their revision 0001, word for word."""

from typing import Final

from sqlalchemy import text

from orders.db import Credentials
from tests.integration.migrate.catalogue import connected

_TABLES: Final = (
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
_ROWS: Final = (
    """
    INSERT INTO gateway.payments (key, payment_id, status, attempts, amount, currency)
    SELECT 'earlier-' || n, gen_random_uuid(), 'REFUNDED', 1, 200, 'USD' FROM generate_series(1, 20) AS n
    """,
    """
    INSERT INTO gateway.entries (key, kind, amount)
    SELECT key, kind, amount FROM gateway.payments, unnest(ARRAY['CAPTURE', 'REFUND']) AS kind
    """,
)


def make_earlier_ledger(credentials: Credentials) -> None:
    """Adds it, with some payments in it, to a database without the simulator."""
    with connected(credentials) as connection:
        for statement in (*_TABLES, *_ROWS):
            connection.execute(text(statement))
