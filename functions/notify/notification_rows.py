"""The SQL of a notification's life: QUEUED, SENDING, and then SENT, FAILED, UNCERTAIN or SUPPRESSED.

The row is claimed and committed before anything is sent. Its order, or its refund, with its type and channel is unique,
which decides who sends (promise I11); the row's id is the claim, and changes with each attempt. What is final is also
in the inbox, in the same transaction (promise I9). What was certainly not sent, and may be sent yet, is QUEUED again.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from functions.notify import limits
from functions.notify.limits import MessageLimits, Recipient
from functions.notify.rendering import Line, Order
from orders import inbox
from orders.domain import Channel, Locale, Notification, NotificationStatus, SuppressionReason
from orders.errors import OrderNotFound, TransientFailure
from orders.events import Consumer
from orders.order_lines import PRODUCT_NAME

LEASE_SECONDS: Final = 60
"""Twice the function's timeout, so whoever claimed the row is gone when it ends; a third of the queue's visibility
timeout, so the next delivery finds it ended."""


# The row is there if its event came with it; events of operators and of older code come alone.
def _claim_for(subject: str, source: str, unique: str) -> TextClause:
    return text(f"""
        INSERT INTO notifications (id, {subject}, type, channel, status, lease_until)
        SELECT :claim_id, id, :type, :channel, 'SENDING', now() + make_interval(secs => :lease_seconds)
        FROM {source}
        ON CONFLICT {unique} DO UPDATE
        SET id = excluded.id, status = 'SENDING', attempts = notifications.attempts + 1, error = NULL,
            lease_until = excluded.lease_until
        WHERE notifications.status = 'QUEUED'
    """)


_CLAIM: Final = _claim_for("order_id", "orders WHERE id = :order_id", "(order_id, type, channel)")
_CLAIM_OF_REFUND: Final = _claim_for(
    "refund_id",
    "refunds WHERE id = :refund_id AND order_id = :order_id",
    "(refund_id, type, channel) WHERE refund_id IS NOT NULL",
)

_FIND: Final = text(f"""
    SELECT told.id, told.status, told.attempts, told.lease_until > now() AS leased, {limits.RECIPIENT_COLUMNS},
           contact_email, contact_phone, locale, total_amount, currency,
           (
               SELECT jsonb_agg(
                   jsonb_build_array({PRODUCT_NAME}, item.quantity, item.unit_price) ORDER BY item.line_no
               )
               FROM order_items AS item WHERE item.order_id = orders.id
           ) AS lines
    FROM notifications AS told JOIN orders ON orders.id = told.order_id {limits.ACCOUNT}
    WHERE (told.order_id, told.type, told.channel) = (:order_id, :type, :channel)
    FOR UPDATE OF told
""")

# The amount and the lines are the refund's.
_FIND_OF_REFUND: Final = text(f"""
    SELECT told.id, told.status, told.attempts, told.lease_until > now() AS leased, {limits.RECIPIENT_COLUMNS},
           contact_email, contact_phone, locale, refund.amount AS total_amount, currency,
           coalesce((
               SELECT jsonb_agg(
                   jsonb_build_array({PRODUCT_NAME}, line.quantity, item.unit_price) ORDER BY item.line_no
               )
               FROM refund_lines AS line
                   JOIN order_items AS item ON (item.order_id, item.product_id) = (orders.id, line.product_id)
               WHERE line.refund_id = refund.id
           ), '[]') AS lines
    FROM notifications AS told JOIN refunds AS refund ON refund.id = told.refund_id
        JOIN orders ON orders.id = refund.order_id {limits.ACCOUNT}
    WHERE (told.refund_id, told.type, told.channel) = (:refund_id, :type, :channel)
      AND refund.order_id = :order_id
    FOR UPDATE OF told
""")

# A sender that was given up and still comes to its end knows better than whoever gave it up.
_SENT: Final = text("""
    UPDATE notifications SET status = 'SENT', provider_id = :provider_id, sent_at = now(), error = NULL
    WHERE id = :claim_id AND status IN ('SENDING', 'UNCERTAIN')
""")

_END: Final = text("""
    UPDATE notifications SET status = :status, error = :error WHERE id = :claim_id AND status = 'SENDING'
""")


class NotificationClaim(StrEnum):
    """What a delivery finds."""

    OURS = "ours to send"
    DONE = "sent, refused for good, or left to an operator before"
    UNCERTAIN = "left without an outcome by a sender that is gone"
    ERASED = "nobody to send it to: the order's contact data is erased"


class SendingInProgress(TransientFailure):
    """Another delivery is sending this notification, or died while it did; its lease tells which, later."""


@dataclass(frozen=True)
class NotificationToSend:
    """One notification on one channel, asked for by one event. `claim_id` is new with each delivery."""

    claim_id: UUID
    event_id: UUID
    order_id: UUID
    notification: Notification
    channel: Channel
    refund_id: UUID | None = None
    """The refund that it is about."""

    @property
    def _key(self) -> dict[str, Any]:
        about = {} if self.refund_id is None else {"refund_id": self.refund_id}
        return {"order_id": self.order_id, "type": self.notification, "channel": self.channel, **about}

    def claim(
        self, connection: Connection, message_limits: MessageLimits
    ) -> tuple[NotificationClaim | SuppressionReason, Order]:
        """Claims the right to send, or finds why not. May be repeated, as after a connection lost around COMMIT.

        Raises:
            AccountNotKnown: see `limits.check`.
            SendingInProgress: try again when the lease has ended.
            OrderNotFound: the event speaks of no order.
        """
        claim = {"claim_id": self.claim_id, "lease_seconds": LEASE_SECONDS}
        claiming, finding = (_CLAIM, _FIND) if self.refund_id is None else (_CLAIM_OF_REFUND, _FIND_OF_REFUND)
        connection.execute(claiming, {**self._key, **claim})
        row = connection.execute(finding, self._key).first()
        if row is None:
            raise OrderNotFound("the event's order does not exist, or has no such refund")
        found, order = self._what_is_found(connection, row), self._order(row)
        address = order.phone if self.channel is Channel.SMS else order.email
        if found is not NotificationClaim.OURS or address is None:
            return found, order
        recipient = Recipient.of(row, self.channel, address)
        reason = limits.check(
            connection, message_limits, recipient, self.claim_id, is_first=row.attempts == 1
        )
        if reason is None:
            return found, order
        self._end(connection, self.claim_id, NotificationStatus.SUPPRESSED, reason)
        return reason, order

    def _what_is_found(self, connection: Connection, row: Row[Any]) -> NotificationClaim:
        if row.id == self.claim_id and row.status == NotificationStatus.SENDING:
            if row.contact_email is None:
                self._end(connection, row.id, NotificationStatus.FAILED, "ContactErased")
                return NotificationClaim.ERASED
            return NotificationClaim.OURS
        if row.status != NotificationStatus.SENDING:
            inbox.record(connection, Consumer.NOTIFY, self.event_id)
            return NotificationClaim.DONE
        if row.leased:
            raise SendingInProgress(f"{self.notification} is being sent")
        self._end(connection, row.id, NotificationStatus.UNCERTAIN, "NoOutcomeRecorded")
        return NotificationClaim.UNCERTAIN

    def _order(self, row: Row[Any]) -> Order:
        return Order(
            order_id=self.order_id,
            email=row.contact_email,
            phone=row.contact_phone,
            locale=Locale(row.locale),
            lines=tuple(Line(*line) for line in row.lines),
            total_amount=row.total_amount,
            currency=row.currency,
            refund_id=self.refund_id,
        )

    def record_sent(self, connection: Connection, provider_id: str) -> None:
        connection.execute(_SENT, {"claim_id": self.claim_id, "provider_id": provider_id})
        inbox.record(connection, Consumer.NOTIFY, self.event_id)

    def record_refused(self, connection: Connection, error: str) -> None:
        """Not sent, for good."""
        self._end(connection, self.claim_id, NotificationStatus.FAILED, error)

    def record_not_sent(self, connection: Connection, error: str) -> None:
        """Not sent for now: the event's next delivery sends it."""
        connection.execute(
            _END, {"claim_id": self.claim_id, "status": NotificationStatus.QUEUED, "error": error}
        )

    def _end(self, connection: Connection, claim_id: UUID, status: NotificationStatus, error: str) -> None:
        connection.execute(_END, {"claim_id": claim_id, "status": status, "error": error})
        inbox.record(connection, Consumer.NOTIFY, self.event_id)
