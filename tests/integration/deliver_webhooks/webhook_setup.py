"""A customer with a webhook, the queue between the outbox and its consumer, and a clock that tests may turn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from functions.deliver_webhooks.deliver import WebhookDelivery
from functions.deliver_webhooks.schedule import Schedule
from functions.deliver_webhooks.sender import AttemptResult
from orders import outbox
from orders.db import Database
from orders.domain import FailureReason
from orders.events import (
    CloudEvent,
    OrderCancelled,
    OrderConfirmed,
    OrderEnded,
    WebhookAttemptScheduled,
    WebhookEvent,
)
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import DeliveryError
from tests.support.consumers import cloud_event
from tests.support.factories import TRACE, add_order, execute, rows
from tests.support.webhooks import KEY

WAITS = (5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 28800.0, 28800.0)
OK = AttemptResult(200, None)
BROKEN = AttemptResult(500, DeliveryError.HTTP_STATUS)
GONE = AttemptResult(410, DeliveryError.GONE)

CREATED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONFIRMED = OrderConfirmed(failure_reason=None, total_amount=2500, currency="USD", created_at=CREATED_AT)
CANCELLED = OrderCancelled(
    failure_reason=FailureReason.PAYMENT_DECLINED, total_amount=2500, currency="USD", created_at=CREATED_AT
)


class Killed(BaseException):
    """The process ends here. Not an Exception, so nothing on the way can take it for a failure."""


@dataclass(frozen=True)
class Sent:
    """One attempt, as it left."""

    url: str
    body: str
    headers: dict[str, str]


@dataclass
class FakeSender:
    """Servers that answer in turn, and the last answer from then on. `during` runs while an attempt is under way."""

    answers: list[AttemptResult] = field(default_factory=lambda: [OK])
    sent: list[Sent] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def send(self, url: str, body: str, headers: dict[str, str]) -> AttemptResult:
        self.sent.append(Sent(url, body, headers))
        self.during()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class WebhookSetup:
    """One consumer of `webhook-delivery`, with what it works with."""

    database: Database
    sender: FakeSender = field(default_factory=FakeSender)

    @property
    def delivery(self) -> WebhookDelivery:
        return WebhookDelivery(self.database, SigningKeys(lambda: KEY), self.sender, Schedule(WAITS))

    def end_order(self, ended: OrderEnded = CONFIRMED, order_id: UUID | None = None) -> CloudEvent:
        """The event of an order's end, as the relay publishes it."""
        return cloud_event(order_id or add_order(self.database), ended)

    def handle(self, event: CloudEvent) -> None:
        data = event.payload()
        assert isinstance(data, WebhookEvent)
        self.delivery.handle(event, data)

    def fan_out(self, ended: OrderEnded = CONFIRMED) -> UUID:
        """An order of the customer's that ended; answers the id of its one delivery, which waits for its attempt."""
        event = self.end_order(ended)
        self.handle(event)
        (delivery,) = rows(
            self.database, "SELECT id FROM webhook_deliveries WHERE event_id = :id", id=event.id
        )
        found: UUID = delivery["id"]
        return found

    def due(self, limit: int | None = None) -> list[CloudEvent]:
        """What the relay would publish by now, taken out of the outbox."""
        found = rows(
            self.database,
            """
            UPDATE outbox SET status = 'PUBLISHED', published_at = now()
            WHERE id IN (
                SELECT id FROM outbox
                WHERE status = 'PENDING' AND available_at <= now()
                  AND type = 'com.orders.webhook.attempt_scheduled.v1'
                ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
            )
            RETURNING id, subject, data
            """,
            limit=limit,
        )
        return [
            cloud_event(row["subject"], WebhookAttemptScheduled.model_validate(row["data"])).model_copy(
                update={"id": row["id"]}
            )
            for row in sorted(found, key=lambda row: row["id"])
        ]

    def deliver(self) -> int:
        """Publishes what is due and has it worked on; answers how many messages that were."""
        events = self.due()
        for event in events:
            self.handle(event)
        return len(events)

    def pass_time(self) -> float:
        """Lets the time pass until the next attempt is due; answers how many seconds that is."""
        (row,) = rows(
            self.database,
            "SELECT CAST(extract(epoch FROM min(available_at) - now()) AS float8) AS seconds FROM outbox "
            "WHERE status = 'PENDING' AND type = 'com.orders.webhook.attempt_scheduled.v1'",
        )
        assert row["seconds"] is not None, "no attempt is scheduled"
        execute(self.database, "UPDATE outbox SET available_at = now() WHERE status = 'PENDING'")
        return float(row["seconds"])

    def schedule(self, delivery_id: UUID, attempt: int) -> None:
        """Asks for an attempt now."""
        event = WebhookAttemptScheduled(delivery_id=delivery_id, attempt=attempt)
        (row,) = rows(self.database, "SELECT order_id FROM webhook_deliveries WHERE id = :id", id=delivery_id)
        self.database.transact(lambda connection: outbox.add(connection, row["order_id"], event, TRACE))

    def row(self, delivery_id: UUID) -> dict[str, Any]:
        (found,) = rows(self.database, "SELECT * FROM webhook_deliveries WHERE id = :id", id=delivery_id)
        return found

    def endpoint(self) -> dict[str, Any]:
        """The one endpoint that there is."""
        (found,) = rows(self.database, "SELECT * FROM webhook_endpoints")
        return found

    def pending(self) -> int:
        """Attempts that are scheduled."""
        (found,) = rows(
            self.database,
            "SELECT count(*) AS number FROM outbox WHERE status = 'PENDING' "
            "AND type = 'com.orders.webhook.attempt_scheduled.v1'",
        )
        return int(found["number"])
