"""Operations: who did what, and the two short lists that wait for an operator.

The code before it runs on: a new table, and indexes that it need not know of.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"
# A concurrent build locks nobody out while it waits for the transactions before it to end.
_BUILD_LOCK_TIMEOUT = "60s"

# The CASEs keep statements about one row away from these indexes; see `tests.support.tables`.
_INDEXES = {
    "orders_in_review": "orders (id) WHERE CASE WHEN status = 'NEEDS_REVIEW' THEN true ELSE false END",
    "outbox_dead": "outbox (id) WHERE CASE WHEN status = 'DEAD' THEN true ELSE false END",
}

_ADDITIONS = (
    """
    CREATE TABLE operator_actions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        action text NOT NULL,
        operator text NOT NULL,
        target text NOT NULL,
        order_id uuid,
        note text NOT NULL CONSTRAINT operator_actions_note_bounded_check CHECK (length(note) <= 500),
        detail text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX operator_actions_by_order ON operator_actions (order_id)",
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Alembic asks for the isolation level first, and with this driver asking begins a transaction.
        op.execute("COMMIT")
        op.execute(f"SET lock_timeout = '{_BUILD_LOCK_TIMEOUT}'")
        for name, definition in _INDEXES.items():
            # What a broken attempt has left is invalid and in the way.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
        op.execute("RESET lock_timeout")
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    for statement in _ADDITIONS:
        op.execute(statement)
