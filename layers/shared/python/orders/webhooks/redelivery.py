"""A delivery is sent again: at its owner's request or at an operator's, by the same rule and within the same limit."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders import outbox
from orders.allowances import Allowance, spend
from orders.errors import DeliveryNotFound, TooManyRedeliveries, WebhookDisabled
from orders.events import Trace, WebhookAttemptScheduled
from orders.webhooks.states import EndpointStatus

# A delivery that is still being tried only has its next attempt brought forward: the attempt that was scheduled finds
# it made. One that has ended begins a new round of them.
_AGAIN: Final = text("""
    UPDATE webhook_deliveries
    SET status = 'PENDING', next_attempt_at = now(),
        first_attempt = CASE status WHEN 'PENDING' THEN first_attempt ELSE attempts + 1 END,
        started_at = CASE status WHEN 'PENDING' THEN started_at ELSE now() END
    WHERE id = :delivery_id
    RETURNING id, order_id, attempts
""")


def redeliver(
    connection: Connection,
    delivery_id: UUID,
    *,
    owner: str,
    endpoint_status: str,
    trace: Trace,
    per_hour: int,
) -> None:
    """Sends a delivery once more, soon, and with retries if it fails; the `webhook-id` stays. The caller has locked
    its endpoint, whose `owner` may have `per_hour` deliveries sent again.

    Raises:
        WebhookDisabled: its owner has to enable it first.
        TooManyRedeliveries: the owner has had `per_hour` sent again.
        DeliveryNotFound: it is there no more.
    """
    require_enabled(endpoint_status)
    refused = spend(connection, Allowance("redeliveries of user", owner, per_hour))
    if refused:
        raise TooManyRedeliveries(refused.retry_after_seconds)
    row = connection.execute(_AGAIN, {"delivery_id": delivery_id}).first()
    if row is None:
        raise no_delivery()
    scheduled = WebhookAttemptScheduled(delivery_id=row.id, attempt=row.attempts + 1)
    outbox.add(connection, row.order_id, scheduled, trace)


def require_enabled(endpoint_status: str) -> None:
    """Raises WebhookDisabled unless the endpoint is enabled."""
    if endpoint_status == EndpointStatus.DISABLED:
        raise WebhookDisabled("Enable the webhook before you have anything sent to it")


def no_delivery() -> DeliveryNotFound:
    return DeliveryNotFound("This webhook has no such delivery")
