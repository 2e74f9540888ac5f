"""What was delivered to a customer's webhook, and sending it again."""

from typing import Any, Final

from sqlalchemy import Connection, Row, text

from functions.webhooks.models import Delivery, DeliveryList
from orders import outbox, pages
from orders.allowances import Allowance, spend
from orders.db import Database
from orders.errors import DeliveryNotFound, TooManyRedeliveries, WebhookDisabled, WebhookNotFound
from orders.events import Trace, WebhookAttemptScheduled
from orders.ids import parse_uuid
from orders.webhooks.states import EndpointStatus

_COLUMNS: Final = """
    delivery.id, delivery.event_id, delivery.event_type, delivery.order_id, delivery.status, delivery.attempts,
    delivery.last_status, delivery.last_error, delivery.next_attempt_at, delivery.created_at, delivery.delivered_at
"""

# One row without a delivery says that the webhook is there and has none (any more).
_PAGE: Final = text(f"""
    SELECT {_COLUMNS}
    FROM webhook_endpoints AS endpoint LEFT JOIN LATERAL (
        SELECT * FROM webhook_deliveries
        WHERE endpoint_id = endpoint.id AND id < :before
        ORDER BY id DESC
        LIMIT :limit
    ) AS delivery ON true
    WHERE endpoint.id = :webhook_id AND endpoint.user_id = :user_id
    ORDER BY delivery.id DESC
""")

_FIND: Final = text("""
    SELECT endpoint.status AS endpoint_status, delivery.id
    FROM webhook_endpoints AS endpoint
    LEFT JOIN webhook_deliveries AS delivery ON delivery.endpoint_id = endpoint.id AND delivery.id = :delivery_id
    WHERE endpoint.id = :webhook_id AND endpoint.user_id = :user_id
""")

# A delivery that is still being tried only has its next attempt brought forward: the attempt that was scheduled finds
# it made. One that has ended begins a new round of them.
_AGAIN: Final = text(f"""
    UPDATE webhook_deliveries AS delivery
    SET status = 'PENDING', next_attempt_at = now(),
        first_attempt = CASE status WHEN 'PENDING' THEN first_attempt ELSE attempts + 1 END,
        started_at = CASE status WHEN 'PENDING' THEN started_at ELSE now() END
    WHERE id = :delivery_id
    RETURNING {_COLUMNS}
""")


def list_page(
    database: Database, user_id: str, webhook_id: str, *, limit: int, cursor: str | None
) -> DeliveryList:
    """A page of the deliveries of one of the user's webhooks, newest first.

    Raises:
        WebhookNotFound: there is none, it is somebody else's, or no webhook can have such an id.
        InvalidCursor: the cursor does not belong to this list.
    """
    uuid = parse_uuid(webhook_id)
    listing = f"deliveries of {uuid}"
    asked = {
        "webhook_id": uuid,
        "user_id": user_id,
        "before": pages.id_before(listing, cursor, pages.LAST_ID) if uuid else None,
        "limit": limit + 1,
    }
    rows = database.transact_alone(lambda connection: connection.execute(_PAGE, asked).all()) if uuid else []
    if not rows:
        raise WebhookNotFound("You have no such webhook")
    page, next_cursor = pages.cut(listing, [row for row in rows if row.id is not None], limit)
    items = [Delivery.of(row._mapping, delivery_id=row.id) for row in page]
    return DeliveryList(items=items, next_cursor=next_cursor)


def send_again(
    database: Database, user_id: str, webhook_id: str, delivery_id: str, trace: Trace, per_hour: int
) -> Delivery:
    """Sends a delivery once more, soon, and with retries if it fails; the `webhook-id` stays.

    Raises:
        WebhookNotFound, DeliveryNotFound: there is none, or it belongs to somebody else.
        WebhookDisabled: enable it first.
        TooManyRedeliveries: the user has had `per_hour` sent again.
    """
    asked = {
        "webhook_id": parse_uuid(webhook_id),
        "delivery_id": parse_uuid(delivery_id),
        "user_id": user_id,
    }

    def work(connection: Connection) -> Row[Any]:
        found = connection.execute(_FIND, asked).first()
        if found is None:
            raise WebhookNotFound("You have no such webhook")
        if found.id is None:
            raise DeliveryNotFound("This webhook has no such delivery")
        if found.endpoint_status == EndpointStatus.DISABLED:
            raise WebhookDisabled("Enable the webhook before you have anything sent to it")
        refused = spend(connection, Allowance("redeliveries of user", user_id, per_hour))
        if refused:
            raise TooManyRedeliveries(refused.retry_after_seconds)
        row = connection.execute(_AGAIN, asked).first()
        if row is None:
            raise DeliveryNotFound("This webhook has no such delivery")
        scheduled = WebhookAttemptScheduled(delivery_id=row.id, attempt=row.attempts + 1)
        outbox.add(connection, row.order_id, scheduled, trace)
        return row

    row = database.transact(work)
    return Delivery.of(row._mapping, delivery_id=row.id)
