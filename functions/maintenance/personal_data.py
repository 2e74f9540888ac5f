"""Personal data is erased some time after an order's end, and that of customers who asked for it at once then."""

from datetime import timedelta

from functions.maintenance.deadline import TRANSACTION_SECONDS, Deadline
from orders import erasure
from orders.db import Database
from orders.observability import logger


def erase_personal_data(database: Database, retention: timedelta, deadline: Deadline) -> int:
    """Erases it as far as the time goes; returns of how many orders. `retention` counts from an order's end.

    Raises:
        DatabaseUnavailable: try again.
    """

    def may_go_on() -> bool:
        return deadline.allows(TRANSACTION_SECONDS)

    erased = 0
    while may_go_on():
        batch = database.transact(lambda connection: erasure.erase_aged(connection, retention))
        erased += batch
        if batch < erasure.BATCH_SIZE:
            break
    for request in database.transact_alone(erasure.requests) if may_go_on() else ():
        erased += request.erase_orders(database, may_go_on)
        if may_go_on():
            database.transact(request.finish)
    if erased:
        logger.info("Personal data erased", orders=erased)
    return erased
