"""What time does to stock.

Reservations whose time is over give their units back, unless the customer is paying just now (decision 0009). A product
with enough stock again may be alerted again.
"""

from typing import Any, Final

from sqlalchemy import Connection, Row, text

from functions.maintenance.deadline import TRANSACTION_SECONDS, Deadline
from orders import repairs
from orders.contract import Metric
from orders.db import Database
from orders.observability import count, logger
from orders.payments import records
from orders.repairs import Repair

BATCH_SIZE: Final = 200

# Reservations before stock, stock in the order of its products: as the saga's steps lock them. A reservation that is
# locked is about to end some other way. The CASE is the condition of `reservations_expiring`.
_EXPIRE: Final = text(f"""
    WITH due AS (
        SELECT order_id, product_id FROM reservations
        WHERE CASE WHEN status = 'ACTIVE' THEN true ELSE false END AND expires_at <= now()
          AND NOT {records.is_in_flight("reservations.order_id")}
        ORDER BY expires_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), expired AS (
        UPDATE reservations SET status = 'EXPIRED', updated_at = now()
        FROM due
        WHERE (reservations.order_id, reservations.product_id) = (due.order_id, due.product_id)
        RETURNING reservations.order_id, reservations.product_id, reservations.quantity
    ), given_back AS (
        SELECT product_id, sum(quantity) AS units FROM expired GROUP BY product_id
    ), locked AS (
        SELECT stock.product_id FROM stock JOIN given_back USING (product_id)
        ORDER BY stock.product_id FOR UPDATE OF stock
    ), counted AS (
        UPDATE stock SET available = available + units, reserved = reserved - units
        FROM given_back JOIN locked USING (product_id)
        WHERE stock.product_id = given_back.product_id
    ), moved AS (
        INSERT INTO stock_movements (product_id, order_id, kind, quantity)
        SELECT product_id, order_id, 'EXPIRED', quantity FROM expired
    ), recorded AS (
        {repairs.INSERT}
        SELECT '{Repair.RESERVATION_EXPIRED}', order_id, 'lines=' || count(*) || ' units=' || sum(quantity)
        FROM expired GROUP BY order_id
    )
    SELECT count(*) AS lines, count(DISTINCT order_id) AS orders FROM expired
""")

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


def expire_reservations(database: Database, deadline: Deadline) -> int:
    """Ends them by the database's clock; returns how many order lines were given back.

    Raises:
        DatabaseUnavailable: try again.
    """
    total = 0
    while deadline.allows(TRANSACTION_SECONDS):
        expired = database.transact_alone(_expire)
        if expired.lines:
            total += expired.lines
            count(Metric.RESERVATIONS_EXPIRED, expired.lines)
            logger.info("Reservations expired", lines=expired.lines, orders=expired.orders)
        if expired.lines < BATCH_SIZE:
            break
    return total


def rearm_alerts(database: Database, deadline: Deadline) -> int:
    """Lets products with enough stock be alerted again; returns how many.

    Raises:
        DatabaseUnavailable: try again.
    """
    if not deadline.allows(TRANSACTION_SECONDS):
        return 0
    return database.transact_alone(lambda connection: len(connection.execute(_REARM).all()))


def _expire(connection: Connection) -> Row[Any]:
    return connection.execute(_EXPIRE, {"limit": BATCH_SIZE}).one()
