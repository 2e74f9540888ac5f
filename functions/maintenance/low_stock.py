"""A product with enough stock again may be alerted again."""

from typing import Final

from sqlalchemy import text

from functions.maintenance.deadline import TRANSACTION_SECONDS, Deadline
from orders.db import Database

# Once a minute, so that a product around its threshold is not alerted with every order.
_REARM: Final = text("""
    UPDATE stock SET low_since = NULL
    WHERE product_id = ANY (ARRAY(
        SELECT product_id FROM stock
        WHERE low_since IS NOT NULL AND available > low_stock_threshold
        ORDER BY product_id
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING product_id
""")


def rearm_alerts(database: Database, deadline: Deadline) -> int:
    """Returns for how many products.

    Raises:
        DatabaseUnavailable: try again.
    """
    if not deadline.allows(TRANSACTION_SECONDS):
        return 0
    return database.transact_alone(lambda connection: len(connection.execute(_REARM).all()))
