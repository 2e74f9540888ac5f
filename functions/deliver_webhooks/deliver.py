"""The use case: an order's end or a refund becomes a delivery for each endpoint, and a delivery a chain of attempts.

An attempt is an event of its own. A failed one writes the next one to the outbox, with the time before which it is not
published, in the transaction that records the failure: waits of hours cost nothing, survive anything, and hold up no
message of anybody else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from functions.deliver_webhooks import attempts
from functions.deliver_webhooks.attempts import Attempt, AttemptClaim
from functions.deliver_webhooks.schedule import Schedule, postponement_seconds
from functions.deliver_webhooks.sender import BODY_SECONDS, TOTAL_SECONDS, AttemptResult, WebhookSender
from functions.deliver_webhooks.webhook_request import body_of, headers_of
from orders import inbox, outbox
from orders.contract import Metric
from orders.db import Database
from orders.errors import TransientFailure, UnexpectedEvent
from orders.events import (
    CloudEvent,
    Consumer,
    OrderEnded,
    OrderRefunded,
    WebhookAttemptScheduled,
    WebhookEvent,
)
from orders.observability import count, logger
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import DeliveryError, DisabledReason

NEEDED_SECONDS: Final = 3.0 + TOTAL_SECONDS + BODY_SECONDS
"""What one message may take: two transactions, with a retry or two, around a server that gives no response."""


class AttemptUnderWay(TransientFailure):
    """Another message has this attempt made, or died while it did; its lease tells which, later."""


@dataclass(frozen=True)
class WebhookDelivery:
    """What delivering works with."""

    database: Database
    keys: SigningKeys
    sender: WebhookSender
    schedule: Schedule
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The time that is signed; receivers hold it against their clock."""

    def handle(self, event: CloudEvent, data: WebhookEvent) -> None:
        """Works on one event of the queue.

        Raises:
            AttemptUnderWay, DatabaseUnavailable, ServiceUnavailable: deliver the event again later.
        """
        match data:
            case OrderEnded() | OrderRefunded():
                self._fan_out(event, data)
            case WebhookAttemptScheduled():
                self._attempt(event, data)
            case _:
                raise UnexpectedEvent(f"nothing is known of {event.type}")

    def _fan_out(self, event: CloudEvent, told: OrderEnded | OrderRefunded) -> None:
        def work(connection: Connection) -> int:
            if not inbox.record(connection, Consumer.DELIVER_WEBHOOKS, event.id):
                return 0
            delivery_ids = attempts.fan_out(connection, event, body_of(event, told))
            firsts = [
                WebhookAttemptScheduled(delivery_id=delivery_id, attempt=1) for delivery_id in delivery_ids
            ]
            outbox.add_all(connection, event.subject, firsts, event.trace)
            return len(delivery_ids)

        logger.info("Webhooks are to be sent", deliveries=self.database.transact(work))

    def _attempt(self, event: CloudEvent, scheduled: WebhookAttemptScheduled) -> None:
        def work(connection: Connection) -> tuple[AttemptClaim, Attempt | None]:
            claimed, attempt = attempts.claim(connection, scheduled.delivery_id, scheduled.attempt)
            if claimed is AttemptClaim.TOO_MANY:
                _postpone(connection, event, scheduled)
            return claimed, attempt

        claimed, attempt = self.database.transact(work)
        if claimed is AttemptClaim.UNDER_WAY:
            raise AttemptUnderWay("the attempt is under way")
        if claimed is AttemptClaim.TOO_MANY:
            count(Metric.WEBHOOKS_POSTPONED)
        if attempt is None:
            logger.info("Webhook was not sent", delivery_id=str(scheduled.delivery_id), because=claimed)
        else:
            self._make(event, attempt)

    def _make(self, event: CloudEvent, attempt: Attempt) -> None:
        secrets = [self.keys.secret(attempt.endpoint_id, version) for version in attempt.secret_versions]
        headers = headers_of(attempt.event_id, attempt.body, secrets, self.now())
        result = self.sender.send(attempt.url, attempt.body, headers)
        facts: dict[str, object] = {
            "webhook_id": str(attempt.endpoint_id),
            "delivery_id": str(attempt.delivery_id),
            "attempt": attempt.number,
            "status": result.status,
        }
        if result.error is None:
            self.database.transact_alone(lambda connection: attempt.record_delivered(connection, result))
            count(Metric.WEBHOOKS_DELIVERED)
            logger.info("Webhook delivered", extra=facts)
            return
        count(Metric.WEBHOOK_ATTEMPTS_FAILED)
        logger.warning("Webhook attempt failed", error=result.error, extra=facts)
        if self.database.transact(lambda connection: self._record_failed(connection, event, attempt, result)):
            count(Metric.WEBHOOKS_DISABLED)
            logger.error("Webhook disabled", error=result.error, extra=facts)

    def _record_failed(
        self, connection: Connection, event: CloudEvent, attempt: Attempt, result: AttemptResult
    ) -> bool:
        """Records a failure with what follows from it. True: the endpoint was disabled."""
        gone = result.error is DeliveryError.GONE
        wait = (
            None
            if gone
            else self.schedule.next_wait(attempt.of_round, attempt.age_seconds, result.retry_after)
        )
        recorded = attempt.record_failed(connection, result, wait)
        if recorded is None:
            return False
        if recorded.next_attempt_at is not None:
            following = WebhookAttemptScheduled(delivery_id=attempt.delivery_id, attempt=attempt.number + 1)
            outbox.add(connection, event.subject, following, event.trace, not_before=recorded.next_attempt_at)
            return False
        reason = DisabledReason.GONE if gone else DisabledReason.UNDELIVERABLE
        return attempt.disable_endpoint(connection, reason)


def _postpone(connection: Connection, event: CloudEvent, scheduled: WebhookAttemptScheduled) -> None:
    due = attempts.postpone(connection, scheduled.delivery_id, postponement_seconds(scheduled.postponed))
    later = scheduled.model_copy(update={"postponed": scheduled.postponed + 1})
    outbox.add(connection, event.subject, later, event.trace, not_before=due)
