"""Stock and its reservations. Every change moves units between the three counters of a product's stock row,
`available`, `reserved` and `sold`, whose sum is what was `stocked` (promise I4, and a CHECK).

Each operation is one statement for all lines of an order, so it happens for all of them or for none. Stock rows are
locked in the order of their product ids: two orders with the same products cannot deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import ReservationStatus
from orders.errors import InsufficientStock, OrderIncomplete, ReservationExpired

_MISSING: Final = text("""
    SELECT item.product_id
    FROM order_items AS item LEFT JOIN stock USING (product_id)
    WHERE item.order_id = :order_id AND coalesce(stock.available, 0) < item.quantity
    ORDER BY item.line_no
""")

_RESERVE: Final = text("""
    WITH line AS (
        SELECT product_id, quantity FROM order_items WHERE order_id = :order_id
    ), locked AS (
        SELECT stock.product_id FROM stock JOIN line USING (product_id)
        ORDER BY stock.product_id FOR UPDATE OF stock
    ), taken AS (
        UPDATE stock SET available = available - line.quantity, reserved = reserved + line.quantity
        FROM line JOIN locked USING (product_id)
        WHERE stock.product_id = line.product_id AND stock.available >= line.quantity
        RETURNING stock.product_id, line.quantity
    ), held AS (
        INSERT INTO reservations (order_id, product_id, quantity, status, expires_at)
        SELECT :order_id, product_id, quantity, 'ACTIVE', now() + make_interval(secs => :ttl_seconds) FROM taken
    ), moved AS (
        INSERT INTO stock_movements (product_id, order_id, kind, quantity)
        SELECT product_id, :order_id, 'RESERVED', quantity FROM taken
    )
    SELECT product_id FROM line EXCEPT SELECT product_id FROM taken
""")

_SETTLE: Final = text("""
    WITH settled AS (
        UPDATE reservations SET status = :to_status, updated_at = now()
        WHERE order_id = :order_id AND status = :from_status
        RETURNING product_id, quantity
    ), locked AS (
        SELECT stock.product_id FROM stock JOIN settled USING (product_id)
        ORDER BY stock.product_id FOR UPDATE OF stock
    ), counted AS (
        UPDATE stock
        SET available = available + :available * settled.quantity,
            reserved = reserved + :reserved * settled.quantity,
            sold = sold + :sold * settled.quantity
        FROM settled JOIN locked USING (product_id)
        WHERE stock.product_id = settled.product_id
    ), moved AS (
        INSERT INTO stock_movements (product_id, order_id, kind, quantity)
        SELECT product_id, :order_id, :to_status, quantity FROM settled
    )
    SELECT count(*) AS settled,
           (SELECT count(*) FROM order_items WHERE order_id = :order_id) AS lines
    FROM settled
""")


# What a refund takes back stays CONFIRMED: `returned` says how much of it is back.
_TAKE_BACK: Final = text("""
    WITH line AS (
        SELECT product_id, quantity FROM refund_lines WHERE refund_id = :refund_id
    ), returned AS (
        UPDATE reservations SET returned = returned + line.quantity, updated_at = now()
        FROM line
        WHERE reservations.order_id = :order_id AND reservations.product_id = line.product_id
          AND reservations.status = 'CONFIRMED'
        RETURNING reservations.product_id, line.quantity
    ), locked AS (
        SELECT stock.product_id FROM stock JOIN returned USING (product_id)
        ORDER BY stock.product_id FOR UPDATE OF stock
    ), counted AS (
        UPDATE stock SET available = available + returned.quantity, sold = sold - returned.quantity
        FROM returned JOIN locked USING (product_id)
        WHERE stock.product_id = returned.product_id
    ), moved AS (
        INSERT INTO stock_movements (product_id, refund_id, kind, quantity)
        SELECT product_id, :refund_id, 'RETURNED', quantity FROM returned
    )
    SELECT product_id FROM line EXCEPT SELECT product_id FROM returned
""")


@dataclass(frozen=True)
class _Settlement:
    """How a reservation ends: the statuses it moves between, and the units each counter gains per unit reserved."""

    from_status: ReservationStatus
    to_status: ReservationStatus
    available: int = 0
    reserved: int = 0
    sold: int = 0


_CONFIRM: Final = _Settlement(ReservationStatus.ACTIVE, ReservationStatus.CONFIRMED, reserved=-1, sold=+1)
_RELEASE: Final = _Settlement(ReservationStatus.ACTIVE, ReservationStatus.RELEASED, reserved=-1, available=+1)
_RESTORE: Final = _Settlement(ReservationStatus.CONFIRMED, ReservationStatus.RESTORED, sold=-1, available=+1)


def verify_available(connection: Connection, order_id: UUID) -> None:
    """A look before anything is locked: hopeless orders end early.

    Raises:
        InsufficientStock: some line asks for more than is available now.
    """
    missing = connection.scalars(_MISSING, {"order_id": order_id}).all()
    if missing:
        raise InsufficientStock(_names(missing))


def reserve(connection: Connection, order_id: UUID, ttl_seconds: int) -> None:
    """Reserves every line of the order until `ttl_seconds` from now, by the database's clock.

    Raises:
        InsufficientStock: some line cannot be had; roll back, since the other lines have been taken by then.
    """
    missing = connection.scalars(_RESERVE, {"order_id": order_id, "ttl_seconds": ttl_seconds}).all()
    if missing:
        raise InsufficientStock(_names(missing))


def confirm(connection: Connection, order_id: UUID) -> None:
    """Turns the order's reservations into sales.

    A reservation past its TTL can be confirmed as long as nobody has taken the units back: what ends it is its
    status, EXPIRED, not the clock of whoever looks.

    Raises:
        ReservationExpired: some line's reservation is gone; roll back.
    """
    counts = _settle(connection, order_id, _CONFIRM)
    if counts.settled != counts.lines:
        raise ReservationExpired(f"{counts.lines - counts.settled} of {counts.lines} reservations are gone")


def release(connection: Connection, order_id: UUID) -> None:
    """Gives back what is still reserved. Nothing reserved is no error."""
    _settle(connection, order_id, _RELEASE)


def restore(connection: Connection, order_id: UUID) -> None:
    """Takes back what was sold. Nothing sold is no error."""
    _settle(connection, order_id, _RESTORE)


def take_back(connection: Connection, order_id: UUID, refund_id: UUID) -> None:
    """Makes the units of a refund's lines, which were sold with the order, available again. The caller sees to it that
    this happens once for each refund.

    Raises:
        OrderIncomplete: some line of it is not sold; roll back.
    """
    parameters = {"order_id": order_id, "refund_id": refund_id}
    missing = connection.scalars(_TAKE_BACK, parameters).all()
    if missing:
        raise OrderIncomplete("not sold: " + ", ".join(map(str, missing)))


@dataclass(frozen=True)
class _Counts:
    settled: int
    lines: int


def _settle(connection: Connection, order_id: UUID, settlement: _Settlement) -> _Counts:
    row = connection.execute(_SETTLE, {"order_id": order_id, **vars(settlement)}).one()
    return _Counts(settled=row.settled, lines=row.lines)


def _names(product_ids: Sequence[UUID]) -> str:
    return "not enough stock of " + ", ".join(str(product_id) for product_id in product_ids)
