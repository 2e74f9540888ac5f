"""Mails that we send, and the function that hears what became of them."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.mail_feedback import handler
from functions.notify.codes import send_code
from functions.notify.notify import Permission, notify
from orders.confirmation_codes import ConfirmationCodes
from orders.db import Database
from orders.domain import Channel, Notification
from orders.events import ConfirmationCodeRequested, NotificationRequested
from orders.ids import uuid7
from tests.integration.notify.fake_sender import FakeSender, permission
from tests.support.api import lambda_context
from tests.support.consumers import batch, cloud_event, failed, notification_requested
from tests.support.factories import ALICE, add_order, execute, rows

CODES = ConfirmationCodes(lambda: "the key of all confirmation codes, in tests")


@dataclass
class Mails:
    """SES as far as we use it: it takes mails, and the test says what became of each."""

    database: Database
    sender: FakeSender = field(default_factory=FakeSender)

    @classmethod
    def installed(cls, database: Database, monkeypatch: pytest.MonkeyPatch) -> "Mails":
        monkeypatch.setattr(handler, "database", database)
        return cls(database)

    def order(self, email: str | None = None, user_id: str = ALICE) -> UUID:
        """An order, whose mails go to the address."""
        order_id = add_order(self.database, user_id=user_id)
        if email:
            execute(
                self.database,
                "UPDATE orders SET contact_email = :email WHERE id = :id",
                email=email,
                id=order_id,
            )
        return order_id

    def tell(
        self,
        order_id: UUID,
        notification: Notification = Notification.ORDER_CONFIRMED,
        channel: Channel = Channel.EMAIL,
        allowed: Permission | None = None,
    ) -> dict[str, Any]:
        """Sends one of the order's messages, if that may be; its record."""
        event = notification_requested(order_id, notification, channel)
        payload = event.payload()
        assert isinstance(payload, NotificationRequested)
        notify(self.database, self.sender, allowed or permission(), event, payload)
        return self.record(order_id, notification, channel)

    def send_code(self, address: str, user_id: str = ALICE) -> UUID:
        """Sends a code to a new recipient of the user's, if that may be; the recipient's id."""
        recipient_id = uuid7()
        execute(
            self.database,
            "INSERT INTO recipients (id, user_id, channel, address, locale, code_expires_at, key, fingerprint) "
            "VALUES (:id, :user_id, 'email', :address, 'en', now() + interval '10 minutes', :key, '')",
            id=recipient_id,
            user_id=user_id,
            address=address,
            key=str(uuid4()),
        )
        asked = ConfirmationCodeRequested(version=1)
        send_code(self.database, lambda channel: self.sender, CODES, cloud_event(recipient_id, asked), asked)
        return recipient_id

    def record(
        self,
        order_id: UUID,
        notification: Notification = Notification.ORDER_CONFIRMED,
        channel: Channel = Channel.EMAIL,
    ) -> dict[str, Any]:
        (found,) = rows(
            self.database,
            "SELECT * FROM notifications WHERE (order_id, type, channel) = (:id, :type, :channel)",
            id=order_id,
            type=notification,
            channel=channel,
        )
        return found

    def suppressed(self) -> list[tuple[str | None, str, UUID | None]]:
        """The addresses that get no mail any more: which, why and since which order."""
        found = rows(self.database, "SELECT address, reason, order_id FROM suppressed_addresses ORDER BY id")
        return [(row["address"], row["reason"], row["order_id"]) for row in found]

    def hear(self, *bodies: str, look: int = 1) -> list[str]:
        """One batch of messages, each delivered for the so manieth time; the ids of those that go back."""
        event = batch(*bodies)
        for record in event["Records"]:
            record["attributes"]["ApproximateReceiveCount"] = str(look)
        return failed(handler.handler(event, lambda_context(remaining_ms=30_000)))

    def everything(self) -> list[Any]:
        """All that feedback could change."""
        return [
            rows(self.database, f"SELECT * FROM {table} ORDER BY id")
            for table in ("notifications", "recipients", "suppressed_addresses")
        ]
