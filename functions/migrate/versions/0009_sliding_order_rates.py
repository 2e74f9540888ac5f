"""When a user placed their last orders, so that the limit on new orders holds for any minute.

The code before it runs on: it counts in its own columns, which the code after it leaves at their defaults. While both
run, each of the two lets through as many orders as the limit says.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

# Whatever waits for a table lock makes everybody behind it wait as well: rather fail the deploy, and repeat it.
_LOCK_TIMEOUT = "2s"


def upgrade() -> None:
    op.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
    # A constant default stands in the catalogue: no row is written.
    op.execute("ALTER TABLE order_rates ADD COLUMN recent timestamptz[] NOT NULL DEFAULT '{}'")
