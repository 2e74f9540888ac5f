"""What was counted is added up, so that a scrape never has much to add."""

from functions.maintenance.deadline import TRANSACTION_SECONDS, Deadline
from orders import counters
from orders.db import Database


def fold_counters(database: Database, deadline: Deadline) -> int:
    """Folds everything that was counted, as far as the time goes; returns how much.

    Raises:
        DatabaseUnavailable: try again.
    """
    folded = 0
    while deadline.allows(TRANSACTION_SECONDS):
        batch = database.transact_alone(counters.fold)
        folded += batch
        if batch < counters.FOLD_LIMIT:
            break
    return folded
