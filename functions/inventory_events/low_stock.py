"""The use case: one alert when a product becomes low on stock, and no other until there was enough of it again.

The reservations' TTL is not this consumer's: it belongs to the sweeper in `functions/maintenance`, which needs no
message to arrive.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from orders import inbox
from orders.contract import Metric
from orders.db import Database
from orders.events import CloudEvent, Consumer
from orders.observability import count, logger

# The mark on the stock row, not the event, makes it one alert: of many reservations that leave a product low, the
# first to get here finds it unmarked. Stock rows are locked in the order of their products, as everywhere.
_ALERT: Final = text("""
    WITH locked AS (
        SELECT stock.product_id FROM stock JOIN order_items AS item USING (product_id)
        WHERE item.order_id = :order_id AND available <= low_stock_threshold AND low_since IS NULL
        ORDER BY stock.product_id FOR UPDATE OF stock
    ), marked AS (
        UPDATE stock SET low_since = now() FROM locked
        WHERE stock.product_id = locked.product_id AND available <= low_stock_threshold AND low_since IS NULL
        RETURNING stock.product_id, available, low_stock_threshold
    )
    INSERT INTO stock_alerts (product_id, available, threshold)
    SELECT product_id, available, low_stock_threshold FROM marked
    RETURNING product_id, available, threshold
""")


def watch_stock(database: Database, event: CloudEvent) -> None:
    """Looks at the products of the event's order, once for each event (promise I9).

    Raises:
        DatabaseUnavailable: deliver the event again later.
    """

    def work(connection: Connection) -> Sequence[Row[Any]]:
        if not inbox.record(connection, Consumer.INVENTORY_EVENTS, event.id):
            return []
        return connection.execute(_ALERT, {"order_id": event.subject}).all()

    alerts = database.transact(work)
    logger.info("Stock was looked at", alerts=len(alerts))
    for alert in alerts:
        count(Metric.LOW_STOCK_ALERTS)
        logger.warning(
            "Product is low on stock",
            product_id=str(alert.product_id),
            available=alert.available,
            threshold=alert.threshold,
        )
