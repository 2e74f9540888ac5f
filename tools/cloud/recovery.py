"""What an emulator forgets when it ends, and AWS would not: messages in queues and running executions."""

from typing import Final

from orders.domain import TERMINAL_STATUSES
from orders.events import NotificationRequested, OrderCreated
from tools.cloud import postgres
from tools.cloud.settings import Settings

# Every step is idempotent and every consumer remembers what it did, so sending again is safe.
_REPUBLISH: Final = """
    UPDATE outbox
    SET status = 'PENDING', available_at = now(), claim_token = NULL, published_at = NULL
    FROM orders
    WHERE outbox.status = 'PUBLISHED' AND orders.id = outbox.subject AND (
        (outbox.type = :order_created AND orders.status <> ALL (CAST(:terminal AS text[])))
        OR (outbox.type = :notification_requested
            AND NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = outbox.id))
    )
"""


def republish(settings: Settings) -> int:
    """Hands the events whose work was lost with an earlier emulator to the relay again; answers how many."""
    with postgres.connect(settings) as connection:
        connection.run(
            _REPUBLISH,
            order_created=OrderCreated.type,
            notification_requested=NotificationRequested.type,
            terminal=sorted(TERMINAL_STATUSES),
        )
        return int(connection.row_count)
