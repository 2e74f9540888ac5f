"""Products: make one, change one, look at one or at all."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.manage_catalogue import versions
from functions.manage_catalogue.models import NewProduct, ProductChange, StockedProduct, StockedProductList
from orders import idempotency, ids, pages
from orders.db import Database
from orders.domain import MovementKind
from orders.errors import ProductNotFound, VersionOutdated, VersionRequired
from orders.idempotency import IdempotentRequest
from orders.ids import parse_uuid, uuid7

_LISTING: Final = "all products"
_FIRST_STOCK: Final = "First stock"

_EARLIER: Final = idempotency.find("catalogue_requests", "product_id")

_CREATE: Final = text(f"""
    WITH created AS (
        INSERT INTO products (id, name, unit_price, currency)
        VALUES (:product_id, :name, :unit_price, :currency)
    ), counted AS (
        INSERT INTO stock (product_id, stocked, available, low_stock_threshold)
        VALUES (:product_id, :stock, :stock, :low_stock_threshold)
        RETURNING stocked
    ), moved AS (
        INSERT INTO stock_movements (product_id, kind, quantity, actor, reason)
        SELECT :product_id, '{MovementKind.RECEIVED}', stocked, :user_id, '{_FIRST_STOCK}'
        FROM counted WHERE stocked > 0
    )
    {idempotency.insert("catalogue_requests", product_id=":product_id")}
""")

# The products first, then the stock of each of them: asked for both at once, Postgres merges two indexes from their
# beginnings, or reads all of the stock. OFFSET 0 keeps it from doing that.
_WITH_STOCK: Final = """
    SELECT product.id, product.name, product.unit_price, product.currency, product.active, stock.stocked,
           stock.available, stock.reserved, stock.sold, stock.low_stock_threshold, product.created_at,
           product.updated_at
    FROM ({products}) AS product
    CROSS JOIN LATERAL (SELECT * FROM stock WHERE product_id = product.id OFFSET 0) AS stock
    ORDER BY product.id
"""
_ONE: Final = text(_WITH_STOCK.format(products="SELECT * FROM products WHERE id = :product_id"))
# Against other changes, not against buyers: their orders refer to the product, which this lets them do.
_LOCK: Final = text("SELECT id FROM products WHERE id = :product_id FOR NO KEY UPDATE")
_PAGE: Final = text(
    _WITH_STOCK.format(products="SELECT * FROM products WHERE id > :after ORDER BY id LIMIT :limit")
)
# The condition is that of an index which holds nothing else.
_LOW_PAGE: Final = text(
    _WITH_STOCK.format(
        products="""
        SELECT products.* FROM (
            SELECT product_id FROM stock WHERE low_since IS NOT NULL AND product_id > :after
            ORDER BY product_id LIMIT :limit
        ) AS low JOIN products ON products.id = low.product_id
        """
    )
)

_CHANGE: Final = text("""
    WITH warned AS (
        UPDATE stock SET low_stock_threshold = CAST(:low_stock_threshold AS bigint)
        WHERE product_id = :product_id AND low_stock_threshold <> CAST(:low_stock_threshold AS bigint)
    )
    UPDATE products
    SET name = coalesce(CAST(:name AS text), name),
        unit_price = coalesce(CAST(:unit_price AS bigint), unit_price),
        active = coalesce(CAST(:active AS boolean), active),
        updated_at = now()
    WHERE id = :product_id
""")


@dataclass(frozen=True)
class Created:
    """The product of a request, as it is now; `replayed` if an earlier request made it."""

    product: StockedProduct
    replayed: bool


def create_product(database: Database, new: NewProduct, *, user_id: str, key: str) -> Created:
    """Puts a product on sale, once per user and key.

    Raises:
        IdempotencyKeyReused, DatabaseUnavailable: as for `idempotency.once`.
    """
    product_id = uuid7()
    request = IdempotentRequest.of(new, user_id=user_id, key=key, operation="create a product")

    def create(connection: Connection) -> Created:
        connection.execute(_CREATE, {**new.model_dump(), **request.row, "product_id": product_id})
        return Created(read(connection, product_id), replayed=False)

    def recall(connection: Connection, earlier: Row[Any]) -> Created:
        # Our own id is there if the connection was lost around COMMIT and the transaction is run again.
        return Created(read(connection, earlier.product_id), replayed=earlier.product_id != product_id)

    return idempotency.once(database, request, _EARLIER, create, recall)


def change_product(
    database: Database, product_id: str, change: ProductChange, if_match: str | None
) -> StockedProduct:
    """Changes a product that still is what the sender of the change saw. Its stock does not count: orders change that
    all the time. Nor does it matter if the change is there already, as after a response that was lost.

    Raises:
        VersionRequired: there is no `if_match`.
        ProductNotFound: there is none.
        VersionOutdated: somebody else has changed it.
    """
    if if_match is None:
        raise VersionRequired("Send the ETag of the product that you saw as If-Match")
    uuid = parse_id(product_id)
    wanted = change.model_dump(exclude_unset=True)

    def work(connection: Connection) -> StockedProduct:
        connection.execute(_LOCK, {"product_id": uuid})
        product = read(connection, uuid)
        if all(getattr(product, name) == value for name, value in wanted.items()):
            return product
        if not versions.matches(if_match, product):
            raise VersionOutdated("Read the product again, and send the change with the ETag of what you see")
        unchanged = dict.fromkeys(ProductChange.model_fields)
        connection.execute(_CHANGE, {**unchanged, **wanted, "product_id": uuid})
        return read(connection, uuid)

    return database.transact(work)


def read_product(database: Database, product_id: str) -> StockedProduct:
    """One product.

    Raises:
        ProductNotFound: there is none, or no product can have such an id.
    """
    uuid = parse_id(product_id)
    return database.transact_alone(lambda connection: read(connection, uuid))


def list_products(
    database: Database, *, only_low: bool = False, limit: int, cursor: str | None
) -> StockedProductList:
    """A page of all products, or of those with a low-stock alert, oldest first.

    Raises:
        InvalidCursor: the cursor does not belong to this list.
    """
    listing, statement = ("products low on stock", _LOW_PAGE) if only_low else (_LISTING, _PAGE)
    after = pages.id_before(listing, cursor, ids.FIRST_ID)
    rows = database.transact_alone(
        lambda connection: connection.execute(statement, {"after": after, "limit": limit + 1}).all()
    )
    page, next_cursor = pages.cut(listing, rows, limit)
    items = [StockedProduct.of(row._mapping, product_id=row.id) for row in page]
    return StockedProductList(items=items, next_cursor=next_cursor)


def read(connection: Connection, product_id: UUID) -> StockedProduct:
    """The product as this transaction sees it.

    Raises:
        ProductNotFound: there is none.
    """
    found = connection.execute(_ONE, {"product_id": product_id}).one_or_none()
    if found is None:
        raise no_product()
    return StockedProduct.of(found._mapping, product_id=found.id)


def parse_id(product_id: str) -> UUID:
    """The id in an address.

    Raises:
        ProductNotFound: no product can have such an id.
    """
    uuid = parse_uuid(product_id)
    if uuid is None:
        raise no_product()
    return uuid


def no_product() -> ProductNotFound:
    """What there is to say of a product that is not there."""
    return ProductNotFound("There is no such product")
