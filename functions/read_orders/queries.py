"""What the read routes ask of the database: one statement each."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, TextClause, text

from functions.read_orders.models import (
    Cancellation,
    NextAction,
    NotificationDelivery,
    NotificationList,
    OrderDetail,
    OrderLine,
    OrderList,
    OrderProgress,
    OrderSummary,
    Product,
    ProductList,
    Step,
)
from orders import cancellations, ids, pages
from orders.cancellations import CancellationState
from orders.db import Database
from orders.domain import Channel, OrderStatus, SagaStep, StepOutcome, StepStatus, progress
from orders.errors import OrderNotFound, ProductNotFound
from orders.history import Books
from orders.ids import parse_uuid
from orders.order_lines import PRODUCT_NAME
from orders.payments.provider import PaymentProvider

# Whose order it is belongs into the question: there is then no response that could differ between another user's order
# and none at all.
_ORDER: Final = text(f"""
    SELECT orders.id, orders.status, orders.failure_reason, orders.total_amount, orders.currency, orders.priority,
           orders.created_at, orders.updated_at, item.product_id, {PRODUCT_NAME} AS product_name, item.quantity,
           item.unit_price,
           coalesce((SELECT refunded FROM payments WHERE payments.order_id = orders.id), 0) AS refunded_amount,
           (
               SELECT jsonb_agg(jsonb_build_object(
                   'refundId', refund.id, 'amount', refund.amount, 'currency', orders.currency,
                   'status', refund.status, 'createdAt', refund.created_at,
                   'completedAt', CASE WHEN refund.status = 'COMPLETED' THEN refund.updated_at END,
                   'lines', coalesce((
                       SELECT jsonb_agg(jsonb_build_object('productId', line.product_id, 'quantity', line.quantity)
                                        ORDER BY line.product_id)
                       FROM refund_lines AS line WHERE line.refund_id = refund.id), '[]')) ORDER BY refund.id)
               FROM refunds AS refund WHERE refund.order_id = orders.id
           ) AS refunds,
           {cancellations.COLUMNS}
    FROM orders JOIN order_items AS item ON item.order_id = orders.id {cancellations.JOIN}
    WHERE orders.id = :order_id AND orders.user_id = :user_id
    ORDER BY item.line_no
""")

# A fenced step never happened. A step and the fences of others have the time of their common transaction, so `at`
# alone orders what is left. The reservations are looked at once, and not for each step. There is something for the
# customer to do only as long as it can still make a difference.
_PROGRESS: Final = text("""
    SELECT orders.id, orders.status, orders.failure_reason, step.step, step.status AS step_status, step.at,
           coalesce(payments.captured, 0) AS captured, coalesce(payments.refunded, 0) AS refunded,
           stock.reservations, action.type, action.client_secret, action.expires_at
    FROM orders
        LEFT JOIN payments ON payments.order_id = orders.id
        LEFT JOIN payment_actions AS action ON action.order_id = orders.id
            AND orders.status = 'PROCESSING' AND payments.status = 'ACTION_REQUIRED'
            AND action.ended_at IS NULL AND action.expires_at > now()
        CROSS JOIN LATERAL (
            SELECT array_agg(DISTINCT status) AS reservations FROM reservations WHERE order_id = orders.id
        ) AS stock
        LEFT JOIN saga_steps AS step ON step.order_id = orders.id AND step.status <> 'FENCED'
    WHERE orders.id = :order_id AND orders.user_id = :user_id
    ORDER BY step.at, step.step
""")

# Arrays of one, and an order by what is the same in all rows: Postgres does not see that it is, so that only the index
# with all of these columns has the rows in their order. Else it may read everybody's orders, newest first, until a page
# has come together: soon for a customer who buys every day, after half of the table for one who has stopped.
_ORDERS_OF_USER: Final = """
    SELECT orders.id, orders.status, orders.failure_reason, orders.total_amount, orders.currency, orders.priority,
           orders.created_at, orders.updated_at,
           (SELECT count(*) FROM order_items AS item WHERE item.order_id = orders.id) AS item_count
    FROM orders
    WHERE orders.user_id = ANY (ARRAY[CAST(:user_id AS text)]) AND orders.id < :before {filter}
    ORDER BY orders.user_id, {order}orders.id DESC
    LIMIT :limit
"""
_ORDERS: Final = text(_ORDERS_OF_USER.format(filter="", order=""))
_ORDERS_IN_STATUS: Final = text(
    _ORDERS_OF_USER.format(
        filter="AND orders.status = ANY (ARRAY[CAST(:status AS text)])", order="orders.status, "
    )
)

# The page first, then the stock of each product on it: asked for both at once, Postgres merges two indexes from their
# beginnings, or reads all of the stock. OFFSET 0 keeps it from doing that.
_PRODUCTS: Final = text("""
    SELECT product.id, product.name, product.unit_price, product.currency, product.active, stock.available
    FROM (
        SELECT id, name, unit_price, currency, active FROM products
        WHERE active AND id > :after
        ORDER BY id
        LIMIT :limit
    ) AS product
    CROSS JOIN LATERAL (SELECT available FROM stock WHERE product_id = product.id OFFSET 0) AS stock
    ORDER BY product.id
""")

_PRODUCT: Final = text("""
    SELECT product.id, product.name, product.unit_price, product.currency, product.active, stock.available
    FROM products AS product JOIN stock ON stock.product_id = product.id
    WHERE product.id = :product_id
""")

_NOTIFICATIONS: Final = text("""
    SELECT orders.contact_email, orders.contact_phone, told.type, told.channel, told.status, told.attempts,
           told.provider_id, told.error, told.refund_id, told.created_at AS queued_at, told.sent_at
    FROM orders LEFT JOIN notifications AS told ON told.order_id = orders.id
        OR told.refund_id = ANY (ARRAY(SELECT refund.id FROM refunds AS refund WHERE refund.order_id = orders.id))
    WHERE orders.id = :order_id AND orders.user_id = :user_id
    ORDER BY told.created_at, told.type, told.channel
""")

_PING: Final = text("SELECT 1")


def list_orders(
    database: Database, user_id: str, *, status: OrderStatus | None, limit: int, cursor: str | None
) -> OrderList:
    """A page of the user's orders, newest first: ids are UUIDv7, so theirs is the order of time.

    Raises:
        InvalidCursor: the cursor does not belong to this list.
    """
    listing = "orders" if status is None else f"orders in {status}"
    page, next_cursor = pages.cut(
        listing,
        _rows(
            database,
            _ORDERS if status is None else _ORDERS_IN_STATUS,
            user_id=user_id,
            before=pages.id_before(listing, cursor, ids.LAST_ID),
            limit=limit + 1,
            **({} if status is None else {"status": status}),
        ),
        limit,
    )
    return OrderList(
        items=[OrderSummary.of(order._mapping, order_id=order.id) for order in page],
        next_cursor=next_cursor,
    )


def read_order(
    database: Database, user_id: str, order_id: str, cancellation_window_minutes: int
) -> OrderDetail:
    """The user's order. It may be cancelled for so many minutes after its confirmation.

    Raises:
        OrderNotFound: there is none, it is somebody else's, or no order can have such an id.
    """
    lines = _rows_of_order(
        database, _ORDER, user_id, order_id, cancellation_window_minutes=cancellation_window_minutes
    )
    items = [OrderLine.of(line._mapping) for line in lines]
    standing = CancellationState.of(lines[0])
    cancellation = Cancellation.of(vars(standing), possible=standing.is_possible, outcome=standing.outcome)
    return OrderDetail.of(
        lines[0]._mapping,
        order_id=lines[0].id,
        items=items,
        refunds=lines[0].refunds or [],
        cancellation=cancellation,
    )


def read_progress(
    database: Database, user_id: str, order_id: str, provider: PaymentProvider
) -> OrderProgress:
    """How far the user's order is. `provider` is where a customer acts on a payment.

    Raises:
        OrderNotFound: as for `read_order`.
    """
    rows = _rows_of_order(database, _PROGRESS, user_id, order_id)
    order = rows[0]
    status = OrderStatus(order.status)
    books = Books(status, order.captured, order.refunded, order.reservations or ())
    steps = [
        Step(
            name=SagaStep(row.step),
            status=books.outcome(SagaStep(row.step), StepStatus(row.step_status)),
            at=row.at,
        )
        for row in rows
        if row.step is not None
    ]
    return OrderProgress.of(
        order._mapping,
        order_id=order.id,
        progress=progress(status, {step.name for step in steps if step.status is StepOutcome.SUCCEEDED}),
        steps=steps,
        next_action=NextAction.of(order._mapping, provider=provider) if order.type else None,
    )


def list_notifications(database: Database, user_id: str, order_id: str) -> NotificationList:
    """What became of everything that the customer was to be told about the user's order.

    Raises:
        OrderNotFound: as for `read_order`.
    """
    items = [
        NotificationDelivery.of(
            row._mapping,
            recipient=masked(row.contact_phone if row.channel == Channel.SMS else row.contact_email),
        )
        for row in _rows_of_order(database, _NOTIFICATIONS, user_id, order_id)
        if row.type is not None
    ]
    return NotificationList(items=items)


def masked(address: str | None) -> str | None:
    """`a***@example.com` of an e-mail address, `+***56` of a telephone number: never more or less, whatever its
    length. None if it is erased."""
    if address is None:
        return None
    name, at, domain = address.partition("@")
    return f"{name[:1]}***@{domain}" if at else f"+***{address[-2:]}"


def list_products(database: Database, *, limit: int, cursor: str | None) -> ProductList:
    """A page of the products on sale, oldest first.

    Raises:
        InvalidCursor: as for `list_orders`.
    """
    after = pages.id_before("products", cursor, ids.FIRST_ID)
    page, next_cursor = pages.cut("products", _rows(database, _PRODUCTS, after=after, limit=limit + 1), limit)
    items = [Product.of(row._mapping, product_id=row.id) for row in page]
    return ProductList(items=items, next_cursor=next_cursor)


def read_product(database: Database, product_id: str) -> Product:
    """One product, on sale or not.

    Raises:
        ProductNotFound: there is none, or no product can have such an id.
    """
    uuid = parse_uuid(product_id)
    found = _rows(database, _PRODUCT, product_id=uuid) if uuid else []
    if not found:
        raise ProductNotFound("There is no such product")
    return Product.of(found[0]._mapping, product_id=found[0].id)


def ask_database(database: Database) -> None:
    """Asks the database for a sign of life.

    Raises:
        DatabaseUnavailable: there was none.
    """
    _rows(database, _PING)


def _rows_of_order(
    database: Database, statement: TextClause, user_id: str, order_id: str, **parameters: object
) -> Sequence[Row[Any]]:
    uuid = parse_uuid(order_id)
    rows = _rows(database, statement, order_id=uuid, user_id=user_id, **parameters) if uuid else []
    if not rows:
        raise OrderNotFound("You have no such order")
    return rows


def _rows(database: Database, statement: TextClause, **parameters: object) -> Sequence[Row[Any]]:
    return database.transact_alone(lambda connection: connection.execute(statement, parameters).all())
