"""Stock without an order: adjustments by administrators, and every movement that there was.

An adjustment changes `stocked` and `available` by the same number: the rest of the books stays as it is (promise I4).
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.manage_catalogue import products
from functions.manage_catalogue.models import (
    NewAdjustment,
    StockAdjustment,
    StockMovement,
    StockMovementList,
)
from orders import idempotency, pages
from orders.db import Database
from orders.domain import MovementKind
from orders.errors import StockNotFree
from orders.idempotency import IdempotentRequest

_EARLIER: Final = idempotency.find("catalogue_requests", "product_id", "movement_id")

# The row is locked before it is judged: what is then found to be free is so until the end of the transaction.
_ADJUST: Final = text(f"""
    WITH locked AS (
        SELECT product_id, available FROM stock WHERE product_id = :product_id FOR UPDATE
    ), adjusted AS (
        UPDATE stock
        SET stocked = stock.stocked + CAST(:delta AS bigint), available = stock.available + CAST(:delta AS bigint)
        FROM locked
        WHERE stock.product_id = locked.product_id AND stock.available + CAST(:delta AS bigint) >= 0
        RETURNING stock.product_id
    ), moved AS (
        INSERT INTO stock_movements (product_id, kind, quantity, actor, reason)
        SELECT product_id, '{MovementKind.ADJUSTED}', :delta, :user_id, :reason FROM adjusted
        RETURNING id
    ), remembered AS (
        {idempotency.insert("catalogue_requests", product_id=":product_id", movement_id="id", source="FROM moved")}
    )
    SELECT locked.available, moved.id AS movement_id FROM locked LEFT JOIN moved ON true
""")

_COLUMNS: Final = "id, kind, quantity, order_id, refund_id, actor, reason, created_at"
_MOVEMENT: Final = text(f"SELECT {_COLUMNS} FROM stock_movements WHERE id = :movement_id")
# The product comes first: without it there is no row, without movements there is one that is empty. The array of one,
# and the order by it, leave Postgres no other index than that of a product's movements; by the primary key it may read
# those of all products.
_MOVEMENTS: Final = text(f"""
    SELECT movement.*
    FROM products LEFT JOIN LATERAL (
        SELECT {_COLUMNS} FROM stock_movements
        WHERE product_id = ANY (ARRAY[CAST(:product_id AS uuid)]) AND id < :before
        ORDER BY product_id, id DESC
        LIMIT :limit
    ) AS movement ON true
    WHERE products.id = :product_id
    ORDER BY movement.id DESC
""")


@dataclass(frozen=True)
class Adjusted:
    """What a request made; `replayed` if an earlier request made the adjustment."""

    adjustment: StockAdjustment
    replayed: bool


def adjust_stock(
    database: Database, product_id: str, adjustment: NewAdjustment, *, user_id: str, key: str
) -> Adjusted:
    """Adds units to a product, or takes free ones away, once per user and key.

    Raises:
        ProductNotFound: there is none.
        StockNotFree: fewer are free than are to be taken away.
        IdempotencyKeyReused, DatabaseUnavailable: as for `idempotency.once`.
    """
    uuid = products.parse_id(product_id)
    request = IdempotentRequest.of(adjustment, user_id=user_id, key=key, operation=f"adjust {uuid}")

    def adjust(connection: Connection) -> Adjusted:
        found = connection.execute(
            _ADJUST, {**adjustment.model_dump(), **request.row, "product_id": uuid}
        ).one_or_none()
        if found is None:
            raise products.no_product()
        if found.movement_id is None:
            raise StockNotFree(f"{found.available} are free; the others are reserved or sold")
        return Adjusted(_adjustment(connection, uuid, found.movement_id), replayed=False)

    def recall(connection: Connection, earlier: Row[Any]) -> Adjusted:
        return Adjusted(_adjustment(connection, uuid, earlier.movement_id), replayed=True)

    return idempotency.once(database, request, _EARLIER, adjust, recall)


def list_movements(
    database: Database, product_id: str, *, limit: int, cursor: str | None
) -> StockMovementList:
    """A page of a product's movements, newest first.

    Raises:
        ProductNotFound: there is none.
        InvalidCursor: the cursor does not belong to this product's movements.
    """
    uuid = products.parse_id(product_id)
    listing = f"movements of {uuid}"
    asked = {
        "product_id": uuid,
        "before": pages.number_before(listing, cursor, pages.LAST_NUMBER),
        "limit": limit + 1,
    }
    rows = database.transact_alone(lambda connection: connection.execute(_MOVEMENTS, asked).all())
    if not rows:
        raise products.no_product()
    page, next_cursor = pages.cut(listing, [row for row in rows if row.id is not None], limit)
    items = [StockMovement.of(row._mapping, movement_id=row.id) for row in page]
    return StockMovementList(items=items, next_cursor=next_cursor)


def _adjustment(connection: Connection, product_id: UUID, movement_id: int) -> StockAdjustment:
    row = connection.execute(_MOVEMENT, {"movement_id": movement_id}).one()
    movement = StockMovement.of(row._mapping, movement_id=movement_id)
    return StockAdjustment(movement=movement, product=products.read(connection, product_id))
