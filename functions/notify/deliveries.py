"""The SQL of a notification's life: SENDING, and then SENT, FAILED or UNCERTAIN.

The row is claimed and committed before anything is sent. `UNIQUE (order_id, type, channel)` decides who sends (promise
I11); the row's id is the claim, and changes with each attempt. What is final is also in the inbox, in the same
transaction (promise I9): a FAILED row without it is a refusal that may pass.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from functions.notify.templates import Recipient
from orders import inbox
from orders.domain import Channel, Locale, Notification
from orders.errors import OrderNotFound

CONSUMER: Final = "notify"
LEASE_SECONDS: Final = 60
"""Twice the function's timeout, so whoever claimed the row is gone when it ends; a third of the queue's visibility
timeout, so the next delivery finds it ended."""

_CLAIM: Final = text("""
    INSERT INTO notifications (id, order_id, type, channel, status, lease_until)
    SELECT :claim_id, id, :type, :channel, 'SENDING', now() + make_interval(secs => :lease_seconds)
    FROM orders WHERE id = :order_id
    ON CONFLICT (order_id, type, channel) DO NOTHING
""")

_FIND: Final = text("""
    SELECT notifications.id, notifications.status, lease_until > now() AS leased,
           contact_email, locale, total_amount, currency
    FROM notifications JOIN orders ON orders.id = order_id
    WHERE (order_id, type, channel) = (:order_id, :type, :channel)
    FOR UPDATE OF notifications
""")

_CLAIM_AGAIN: Final = text("""
    UPDATE notifications
    SET id = :claim_id, status = 'SENDING', attempts = attempts + 1, error = NULL,
        lease_until = now() + make_interval(secs => :lease_seconds)
    WHERE id = :failed_id
""")

# A sender that was given up and still comes to its end knows better than whoever gave it up.
_SENT: Final = text("""
    UPDATE notifications SET status = 'SENT', provider_id = :provider_id, sent_at = now(), error = NULL
    WHERE id = :claim_id AND status IN ('SENDING', 'UNCERTAIN')
""")

_END: Final = text("""
    UPDATE notifications SET status = :status, error = :error WHERE id = :claim_id AND status = 'SENDING'
""")


class Claimed(StrEnum):
    """What a delivery finds."""

    OURS = "ours to send"
    DONE = "sent, refused for good, or left to an operator before"
    UNCERTAIN = "left without an outcome by a sender that is gone"


class SendingInProgress(Exception):
    """Another delivery is sending this notification, or died while it did; its lease tells which, later."""


@dataclass(frozen=True)
class Delivery:
    """One notification on one channel, asked for by one event. `claim_id` is new with each delivery."""

    claim_id: UUID
    event_id: UUID
    order_id: UUID
    notification: Notification
    channel: Channel

    @property
    def _key(self) -> dict[str, Any]:
        return {"order_id": self.order_id, "type": self.notification, "channel": self.channel}

    def claim(self, connection: Connection) -> tuple[Claimed, Recipient]:
        """Claims the right to send, or finds why not. May be repeated, as after a connection lost around COMMIT.

        Raises:
            SendingInProgress: try again when the lease has ended.
            OrderNotFound: the event speaks of no order.
        """
        claim = {"claim_id": self.claim_id, "lease_seconds": LEASE_SECONDS}
        connection.execute(_CLAIM, {**self._key, **claim})
        row = connection.execute(_FIND, self._key).first()
        if row is None:
            raise OrderNotFound("the event's order does not exist")
        recipient = Recipient(
            self.order_id, row.contact_email, Locale(row.locale), row.total_amount, row.currency
        )
        if row.id == self.claim_id:
            return Claimed.OURS, recipient
        match row.status:
            case "SENDING" if row.leased:
                raise SendingInProgress(f"{self.notification} is being sent")
            case "SENDING":
                self._end(connection, row.id, "UNCERTAIN", "NoOutcomeRecorded")
                return Claimed.UNCERTAIN, recipient
            case "FAILED" if not inbox.was_processed(connection, CONSUMER, self.event_id):
                connection.execute(_CLAIM_AGAIN, {**claim, "failed_id": row.id})
                return Claimed.OURS, recipient
            case _:
                inbox.is_first_delivery(connection, CONSUMER, self.event_id)
                return Claimed.DONE, recipient

    def record_sent(self, connection: Connection, provider_id: str) -> None:
        connection.execute(_SENT, {"claim_id": self.claim_id, "provider_id": provider_id})
        inbox.is_first_delivery(connection, CONSUMER, self.event_id)

    def record_refused(self, connection: Connection, error: str) -> None:
        """Not sent, for good."""
        self._end(connection, self.claim_id, "FAILED", error)

    def record_not_sent(self, connection: Connection, error: str) -> None:
        """Not sent for now: the event's next delivery sends it."""
        connection.execute(_END, {"claim_id": self.claim_id, "status": "FAILED", "error": error})

    def _end(self, connection: Connection, claim_id: UUID, status: str, error: str) -> None:
        connection.execute(_END, {"claim_id": claim_id, "status": status, "error": error})
        inbox.is_first_delivery(connection, CONSUMER, self.event_id)
