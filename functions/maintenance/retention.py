"""Rows that have served their time are removed, a few at a time, so that no table grows for ever.

Ids of events are UUIDv7 and begin with their time, so the primary keys of outbox and inbox lead to their oldest rows.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection, TextClause, text

from functions.maintenance.deadline import TRANSACTION_SECONDS, Deadline
from orders.contract import Metric
from orders.db import Database
from orders.observability import count

BATCH_SIZE: Final = 500

OUTBOX_RETENTION: Final = timedelta(days=30)
"""For published events: as long as a message of one can come back, which is 14 days in a dead-letter queue, a redrive,
and 14 days there again. A consumer believes no message whose event is not here. Pending and dead events stay until
somebody has dealt with them."""
INBOX_RETENTION: Final = OUTBOX_RETENTION
"""An event is processed after it was published, so it is forgotten here after its row is gone."""
IDEMPOTENCY_RETENTION: Final = timedelta(days=7)
"""How long a client may repeat a request: the usual promise is a day, but a phone may be off for a holiday, and the
price of a key is 200 bytes where the price of a forgotten one is a second order."""
WEBHOOK_RETENTION: Final = timedelta(days=30)
"""How long a customer can look at what was delivered, and have it sent again."""
UNCONFIRMED_RETENTION: Final = timedelta(days=1)
"""After its last code: an address of somebody who has not agreed is not kept."""
ACCOUNT_RETENTION: Final = timedelta(days=1)
"""As long as `functions/notify` relies on a known address of an account."""

# The oldest id that a row kept until now can have, by the database's clock.
_OLDEST_KEPT_ID: Final = """
    CAST(lpad(to_hex(CAST(1000 * extract(epoch FROM now() - CAST(:age AS interval)) AS bigint)), 12, '0')
         || repeat('0', 20) AS uuid)
"""

# Locked before it is deleted: an operator may be making a published event pending again.
_OUTBOX: Final = text(f"""
    DELETE FROM outbox WHERE id = ANY (ARRAY(
        SELECT id FROM outbox
        WHERE id < {_OLDEST_KEPT_ID} AND status = 'PUBLISHED' AND published_at < now() - CAST(:age AS interval)
        ORDER BY id
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")

# Nothing ever updates these rows, nor those of the next table. Consumer by consumer, each of which the recursion finds
# with one look at the index.
_INBOX: Final = text(f"""
    WITH RECURSIVE consumers AS (
        SELECT min(consumer) AS consumer FROM inbox
        UNION ALL
        SELECT (SELECT min(inbox.consumer) FROM inbox WHERE inbox.consumer > consumers.consumer)
        FROM consumers WHERE consumer IS NOT NULL
    )
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(
        SELECT aged.ctid
        FROM consumers CROSS JOIN LATERAL (
            SELECT ctid FROM inbox
            WHERE inbox.consumer = consumers.consumer AND event_id < {_OLDEST_KEPT_ID}
              AND processed_at < now() - CAST(:age AS interval)
            ORDER BY event_id
            LIMIT :limit
        ) AS aged
        LIMIT :limit
    ))
    RETURNING event_id
""")

_IDEMPOTENCY: Final = text("""
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_keys
        WHERE created_at < now() - CAST(:age AS interval)
        ORDER BY created_at
        LIMIT :limit
    ))
    RETURNING order_id
""")
_WEBHOOK_REQUESTS: Final = text("""
    DELETE FROM webhook_requests WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM webhook_requests
        WHERE created_at < now() - CAST(:age AS interval)
        ORDER BY created_at
        LIMIT :limit
    ))
    RETURNING key
""")

# Locked for the same reason as an event: its owner may be having it sent again.
_WEBHOOKS: Final = text(f"""
    DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
        SELECT id FROM webhook_deliveries
        WHERE id < {_OLDEST_KEPT_ID} AND status <> 'PENDING' AND created_at < now() - CAST(:age AS interval)
        ORDER BY id
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")

_RECIPIENTS: Final = text("""
    DELETE FROM recipients WHERE id = ANY (ARRAY(
        SELECT id FROM recipients
        WHERE confirmed_at IS NULL AND code_expires_at < now() - CAST(:age AS interval)
        ORDER BY code_expires_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING id
""")
_ACCOUNTS: Final = text("""
    DELETE FROM account_addresses WHERE user_id = ANY (ARRAY(
        SELECT user_id FROM account_addresses
        WHERE asked_at < now() - CAST(:age AS interval)
        ORDER BY asked_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING user_id
""")

# Without an index, which each message would have to update: what is left are the keys of one hour.
_ALLOWANCES: Final = text("""
    DELETE FROM allowances WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM allowances WHERE full_at < now() - CAST(:age AS interval)
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING scope
""")


@dataclass(frozen=True)
class _Retention:
    """A table's rule."""

    statement: TextClause
    age: timedelta


_RETENTIONS: Final = (
    _Retention(_OUTBOX, OUTBOX_RETENTION),
    _Retention(_INBOX, INBOX_RETENTION),
    _Retention(_IDEMPOTENCY, IDEMPOTENCY_RETENTION),
    _Retention(_WEBHOOK_REQUESTS, IDEMPOTENCY_RETENTION),
    _Retention(_WEBHOOKS, WEBHOOK_RETENTION),
    _Retention(_RECIPIENTS, UNCONFIRMED_RETENTION),
    _Retention(_ACCOUNTS, ACCOUNT_RETENTION),
    _Retention(_ALLOWANCES, timedelta(0)),
)


def remove_old_rows(database: Database, deadline: Deadline) -> int:
    """Removes them as far as the time goes, each table in turn; returns how many.

    Raises:
        DatabaseUnavailable: try again.
    """
    removed = sum(_remove(database, retention, deadline) for retention in _RETENTIONS)
    if removed:
        count(Metric.ROWS_REMOVED, removed)
    return removed


def _remove(database: Database, retention: _Retention, deadline: Deadline) -> int:
    parameters = {"age": retention.age, "limit": BATCH_SIZE}

    def work(connection: Connection) -> int:
        return len(connection.execute(retention.statement, parameters).all())

    removed = 0
    while deadline.allows(TRANSACTION_SECONDS):
        batch = database.transact_alone(work)
        removed += batch
        if batch < BATCH_SIZE:
            break
    return removed
