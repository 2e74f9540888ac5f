"""How many orders a user has placed in the current window, for the limit on new orders."""

from alembic import op

revision = "0006"
down_revision = "0005"

# A row is updated with every order of its user, so each page keeps room for the row's next versions.
_ORDER_RATES = """
    CREATE TABLE order_rates (
        user_id text,
        lane smallint,
        window_started_at timestamptz NOT NULL DEFAULT now(),
        placed integer NOT NULL DEFAULT 1 CONSTRAINT order_rates_placed_positive_check CHECK (placed > 0),
        PRIMARY KEY (user_id, lane)
    ) WITH (fillfactor = 50)
"""


def upgrade() -> None:
    op.execute(_ORDER_RATES)
