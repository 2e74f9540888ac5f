"""What was delivered to a customer's webhook, and what is sent because its owner asks for it."""

import math
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from functions.webhooks.models import Delivery, DeliveryList, WebhookTestData, WebhookTestEvent
from functions.webhooks.repeatable import Effect, Outcome, once
from orders import ids, outbox, pages
from orders.db import Database
from orders.errors import TooManyTests, WebhookNotFound
from orders.events import Trace, WebhookAttemptScheduled
from orders.idempotency import IdempotentRequest
from orders.ids import parse_uuid, uuid7
from orders.webhooks.redelivery import no_delivery, redeliver, require_enabled
from orders.webhooks.states import TEST_EVENT_TYPE

TEST_BURST: Final = 10
"""Tests that may be sent to one webhook at once."""
TEST_INTERVAL_SECONDS: Final = 6.0
"""After these, one each. So no minute has more than 20."""

_COLUMNS: Final = f"""
    delivery.id, delivery.event_id, delivery.event_type, delivery.status, delivery.attempts,
    CASE WHEN delivery.event_type <> '{TEST_EVENT_TYPE}' THEN delivery.order_id END AS order_id,
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

_READ: Final = text(f"""
    SELECT {_COLUMNS}
    FROM webhook_deliveries AS delivery JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
    WHERE delivery.id = :delivery_id AND endpoint.id = :webhook_id AND endpoint.user_id = :user_id
""")

_FIND: Final = text("""
    SELECT endpoint.status AS endpoint_status, delivery.id,
           CAST(extract(epoch FROM endpoint.tests_until - now()) AS float8) AS spent_seconds
    FROM webhook_endpoints AS endpoint
    LEFT JOIN webhook_deliveries AS delivery ON delivery.endpoint_id = endpoint.id AND delivery.id = :delivery_id
    WHERE endpoint.id = :webhook_id AND endpoint.user_id = :user_id
    FOR UPDATE OF endpoint
""")

# A leaky bucket in one time (the "generic cell rate algorithm", ITU-T I.371).
_SPEND: Final = text("""
    UPDATE webhook_endpoints
    SET tests_until = greatest(tests_until, now()) + make_interval(secs => :interval_seconds)
    WHERE id = :webhook_id
""")

_TEST: Final = text("""
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, order_id, body, next_attempt_at)
    VALUES (:id, :webhook_id, :event_id, :event_type, :webhook_id, :body, now())
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
        "before": pages.id_before(listing, cursor, ids.LAST_ID) if uuid else None,
        "limit": limit + 1,
    }
    rows = database.transact_alone(lambda connection: connection.execute(_PAGE, asked).all()) if uuid else []
    if not rows:
        raise WebhookNotFound("You have no such webhook")
    page, next_cursor = pages.cut(listing, [row for row in rows if row.id is not None], limit)
    items = [Delivery.of(row._mapping, delivery_id=row.id) for row in page]
    return DeliveryList(items=items, next_cursor=next_cursor)


def send_again(
    database: Database,
    user_id: str,
    webhook_id: str,
    delivery_id: str,
    trace: Trace,
    per_hour: int,
    request: IdempotentRequest | None = None,
) -> Outcome[Delivery]:
    """Sends a delivery once more, soon, and with retries if it fails; the `webhook-id` stays. If the request has a key
    it does so once.

    Raises:
        WebhookNotFound, DeliveryNotFound: there is none, or it belongs to somebody else.
        WebhookDisabled: enable it first.
        TooManyRedeliveries: the user has had `per_hour` sent again.
        IdempotencyKeyReused: the key belongs to another request.
    """
    asked = _asked(user_id, webhook_id, parse_uuid(delivery_id))

    def take_effect(connection: Connection) -> Effect:
        found = _find(connection, asked)
        if found.id is None:
            raise no_delivery()
        redeliver(
            connection,
            found.id,
            owner=user_id,
            endpoint_status=found.endpoint_status,
            trace=trace,
            per_hour=per_hour,
        )
        return Effect(asked["webhook_id"], delivery_id=found.id)

    return once(database, request, take_effect, lambda connection, effect: _read(connection, effect, user_id))


def send_test(
    database: Database,
    user_id: str,
    webhook_id: str,
    trace: Trace,
    request: IdempotentRequest | None = None,
) -> Outcome[Delivery]:
    """Sends an event of no order, soon, as any other is sent. If the request has a key it does so once.

    Raises:
        WebhookNotFound, WebhookDisabled, IdempotencyKeyReused: as for `send_again`.
        TooManyTests: wait a little.
    """
    asked = _asked(user_id, webhook_id, None)
    delivery_id, event_id = uuid7(), uuid7()

    def take_effect(connection: Connection) -> Effect:
        found = _find(connection, asked)
        require_enabled(found.endpoint_status)
        too_soon = (found.spent_seconds or 0.0) - (TEST_BURST - 1) * TEST_INTERVAL_SECONDS
        if too_soon > 0:
            raise TooManyTests(math.ceil(too_soon))
        connection.execute(_SPEND, {**asked, "interval_seconds": TEST_INTERVAL_SECONDS})
        endpoint_id: UUID = asked["webhook_id"]
        event = WebhookTestEvent(
            id=event_id,
            subject=endpoint_id,
            time=datetime.now(UTC),
            data=WebhookTestData(webhook_id=endpoint_id),
        )
        delivery = {
            "id": delivery_id,
            "webhook_id": endpoint_id,
            "event_id": event_id,
            "event_type": TEST_EVENT_TYPE,
            "body": event.model_dump_json(by_alias=True),
        }
        connection.execute(_TEST, delivery)
        scheduled = WebhookAttemptScheduled(delivery_id=delivery_id, attempt=1)
        outbox.add(connection, endpoint_id, scheduled, trace)
        return Effect(endpoint_id, delivery_id=delivery_id)

    return once(database, request, take_effect, lambda connection, effect: _read(connection, effect, user_id))


def _asked(user_id: str, webhook_id: str, delivery_id: UUID | None) -> dict[str, Any]:
    return {"webhook_id": parse_uuid(webhook_id), "delivery_id": delivery_id, "user_id": user_id}


def _find(connection: Connection, asked: dict[str, Any]) -> Row[Any]:
    found = connection.execute(_FIND, asked).first()
    if found is None:
        raise WebhookNotFound("You have no such webhook")
    return found


def _read(connection: Connection, effect: Effect, user_id: str) -> Delivery:
    """The delivery that a request is answered with, which may be an earlier request's."""
    asked = {"webhook_id": effect.endpoint_id, "delivery_id": effect.delivery_id, "user_id": user_id}
    row = connection.execute(_READ, asked).first()
    if row is None:
        raise no_delivery()
    return Delivery.of(row._mapping, delivery_id=row.id)
