"""Personal data has an end: what is removed of an order that has ended, and of a customer who asks for it.

Orders, payments and stock are the books, and stay. Whose order it was is then only the user's id. docs/security.md
lists every column. A new place of personal data gets its statement in `_OF_ORDERS` or in `_OF_CUSTOMER`.

Nothing is removed before the order's messages are out and its payment is decided. Every statement may be repeated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from orders.db import Database
from orders.ids import LAST_ID

MayGoOn = Callable[[], bool]
"""Whether there is time for another transaction."""

BATCH_SIZE: Final = 200
"""Orders in one transaction: their rows are locked for its milliseconds."""

# Of orders that have ended.
_OF_ORDERS: Final = (
    """
    UPDATE orders SET contact_email = NULL, contact_phone = NULL, payment_method = NULL
    WHERE id = ANY (CAST(:order_ids AS uuid[]))
    """,
    # It gets no mail after that either: its digest stays.
    "UPDATE suppressed_addresses SET address = NULL WHERE order_id = ANY (CAST(:order_ids AS uuid[])) "
    "AND address IS NOT NULL",
    # It leads to the recipient in the provider's own records.
    "UPDATE notifications SET provider_id = NULL WHERE order_id = ANY (CAST(:order_ids AS uuid[]))",
    """
    UPDATE notifications SET provider_id = NULL FROM refunds
    WHERE refunds.id = notifications.refund_id AND refunds.order_id = ANY (CAST(:order_ids AS uuid[]))
    """,
)

# Of a customer, from before the request. A fingerprint is a hash of a body with an address in it. Its key stays for its
# time: a request that is sent once more must not become a second order.
_OF_CUSTOMER: Final = (
    "DELETE FROM webhook_endpoints WHERE user_id = :user_id AND created_at <= :requested_at",
    "DELETE FROM recipients WHERE user_id = :user_id AND created_at <= :requested_at",
    "DELETE FROM account_addresses WHERE user_id = :user_id AND asked_at <= :requested_at",
    """
    UPDATE idempotency_keys SET fingerprint = 'erased'
    FROM orders
    WHERE idempotency_keys.user_id = :user_id AND orders.id = idempotency_keys.order_id
      AND orders.contact_email IS NULL AND fingerprint <> 'erased'
    """,
    """
    UPDATE webhook_requests SET fingerprint = 'erased'
    WHERE user_id = :user_id AND created_at <= :requested_at AND fingerprint <> 'erased'
    """,
)

_MAY_BE_ERASED: Final = """
    NOT EXISTS (
        SELECT FROM notifications
        WHERE notifications.order_id = orders.id AND notifications.status IN ('QUEUED', 'SENDING')
    ) AND NOT EXISTS (
        SELECT FROM refunds LEFT JOIN notifications ON notifications.refund_id = refunds.id
        WHERE refunds.order_id = orders.id AND (
            refunds.status IN ('REQUESTED', 'NEEDS_REVIEW') OR notifications.status IN ('QUEUED', 'SENDING')
        )
    ) AND NOT EXISTS (
        SELECT FROM payments WHERE payments.order_id = orders.id AND payments.status IN ('PENDING', 'UNKNOWN')
    )
"""

# The CASE is the condition of `orders_with_contact`.
AGED: Final = text(f"""
    SELECT id FROM orders
    WHERE CASE WHEN contact_email IS NOT NULL AND status IN ('CONFIRMED', 'CANCELLED') THEN true ELSE false END
      AND updated_at < now() - CAST(:age AS interval) AND {_MAY_BE_ERASED}
    ORDER BY updated_at
    LIMIT :limit
    FOR UPDATE OF orders SKIP LOCKED
""")

# An array of one, and an order by what is the same in all rows, for the same reason as in a customer's list of orders:
# only `orders_by_user` has the rows in this order.
OF_CUSTOMER: Final = text(f"""
    SELECT id FROM orders
    WHERE user_id = ANY (ARRAY[CAST(:user_id AS text)]) AND id < :before AND created_at <= :requested_at
      AND contact_email IS NOT NULL AND status IN ('CONFIRMED', 'CANCELLED') AND {_MAY_BE_ERASED}
    ORDER BY user_id, id DESC
    LIMIT :limit
    FOR UPDATE OF orders SKIP LOCKED
""")

_REQUEST: Final = text("""
    INSERT INTO erasure_requests (user_id) VALUES (:user_id)
    ON CONFLICT (user_id) DO UPDATE SET requested_at = excluded.requested_at
    RETURNING user_id, requested_at
""")
_REQUESTS: Final = text("SELECT user_id, requested_at FROM erasure_requests ORDER BY requested_at")
_COUNT: Final = text("""
    SELECT count(*) AS orders,
           count(*) FILTER (WHERE contact_email IS NOT NULL AND created_at <= :requested_at) AS with_contact,
           count(*) FILTER (WHERE status NOT IN ('CONFIRMED', 'CANCELLED')) AS under_way,
           (SELECT count(*) FROM webhook_endpoints WHERE user_id = :user_id) AS webhooks,
           (SELECT count(*) FROM recipients WHERE user_id = :user_id) AS recipients
    FROM orders WHERE user_id = :user_id
""")
# Not in the minute of the request: an order that was being placed meanwhile may be committed after it.
_DONE: Final = text("""
    DELETE FROM erasure_requests
    WHERE user_id = :user_id AND requested_at = :requested_at AND requested_at < now() - interval '1 minute'
""")


@dataclass(frozen=True)
class Erasure:
    """A customer's request. Nothing from after `requested_at` is removed."""

    user_id: str
    requested_at: datetime

    @property
    def _row(self) -> dict[str, Any]:
        return {"user_id": self.user_id, "requested_at": self.requested_at}

    def count(self, connection: Connection) -> Row[Any]:
        """How many `orders` the customer has, how many of them are `under_way`, how many of those from before the
        request are still `with_contact`, and how many `webhooks`."""
        return connection.execute(_COUNT, self._row).one()

    def erase_orders(self, database: Database, may_go_on: MayGoOn) -> int:
        """Erases the customer's ended orders as far as the time goes; returns how many.

        Raises:
            DatabaseUnavailable: try again.
        """
        erased = 0
        before = LAST_ID
        while may_go_on():
            batch = database.transact(partial(self._erase_batch, before=before))
            erased += len(batch)
            if len(batch) < BATCH_SIZE:
                break
            before = batch[-1]
        return erased

    def finish(self, connection: Connection) -> None:
        """Forgets the request, once nothing is left to do for it."""
        if not self.count(connection).with_contact:
            connection.execute(_DONE, self._row)

    def _erase_batch(self, connection: Connection, before: UUID) -> Sequence[UUID]:
        parameters = {**self._row, "before": before, "limit": BATCH_SIZE}
        order_ids = _erase(connection, OF_CUSTOMER, parameters)
        for statement in _OF_CUSTOMER:
            connection.execute(text(statement), self._row)
        return order_ids


def request(connection: Connection, user_id: str) -> Erasure:
    """Remembers that the customer is to be erased, with everything up to now."""
    return Erasure(*connection.execute(_REQUEST, {"user_id": user_id}).one())


def requests(connection: Connection) -> list[Erasure]:
    """The requests that are not done yet, oldest first."""
    return [Erasure(*row) for row in connection.execute(_REQUESTS)]


def erase_aged(connection: Connection, age: timedelta) -> int:
    """Erases up to `BATCH_SIZE` orders that ended longer ago than `age`; returns how many."""
    return len(_erase(connection, AGED, {"age": age, "limit": BATCH_SIZE}))


def _erase(connection: Connection, chosen: TextClause, parameters: dict[str, Any]) -> Sequence[UUID]:
    order_ids = list(connection.scalars(chosen, parameters))
    if order_ids:
        for statement in _OF_ORDERS:
            connection.execute(text(statement), {"order_ids": order_ids})
    return order_ids
