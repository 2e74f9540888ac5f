"""The SQL of a delivery's life: PENDING, and then DELIVERED or FAILED.

An attempt is claimed by its number and a lease, committed, made, and recorded. `attempts` counts those whose outcome is
known, so a message that comes twice finds its attempt made, and the message of a sender that died makes it again: with
the same `webhook-id`, since nobody knows whether it got through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from functions.deliver_webhooks.sender import AttemptResult
from orders.events import CloudEvent
from orders.ids import uuid7
from orders.webhooks.states import MAX_WEBHOOKS, DeliveryError, DisabledReason

LEASE_SECONDS: Final = 60
"""Twice the function's timeout, so whoever claimed the attempt is gone when it ends; a third of the queue's visibility
timeout, so the message's next delivery finds it ended."""
MAX_UNDER_WAY: Final = 2
"""Attempts that one endpoint may have under way. No endpoint waits for another one of its owner's."""
MAX_UNDER_WAY_SLOW: Final = 1
"""The same for a slow one: servers that take ten seconds to respond must not keep everybody's senders busy."""
MAX_UNDER_WAY_SLOW_OF_OWNER: Final = 2
"""Attempts that one customer may have under way at all their slow endpoints. More or less: claims for two endpoints at
the same moment do not see each other."""
SLOW_SECONDS: Final = 2.0
"""An endpoint is slow if its last attempt took longer: less than it takes to give up a connection, so that a host where
nobody listens is slow as well."""

_FAN_OUT: Final = text("""
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, order_id, body, next_attempt_at)
    SELECT ids.id, recipient.id, :event_id, :event_type, :order_id, :body, now()
    FROM (
        SELECT endpoint.id, row_number() OVER (ORDER BY endpoint.slot) AS number
        FROM orders JOIN webhook_endpoints AS endpoint ON endpoint.user_id = orders.user_id
        WHERE orders.id = :order_id AND endpoint.status = 'ENABLED'
          AND (endpoint.event_types IS NULL OR :event_type = ANY (endpoint.event_types))
    ) AS recipient
    JOIN unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS ids (id, number) ON ids.number = recipient.number
    ON CONFLICT (endpoint_id, event_id) DO NOTHING
    RETURNING id
""")

# The endpoint is locked against other claims until the end of the transaction, so that `_LEASE` counts them all.
_FIND: Final = text("""
    SELECT delivery.id, delivery.endpoint_id, delivery.event_id, delivery.body, delivery.status, delivery.attempts,
           delivery.first_attempt, delivery.started_at, delivery.lease_until > now() AS is_under_way,
           CAST(extract(epoch FROM now() - delivery.started_at) AS float8) AS age_seconds,
           endpoint.user_id, endpoint.url, endpoint.is_slow, endpoint.status AS endpoint_status,
           endpoint.secret_version, endpoint.previous_secret_until > now() AS is_rotating,
           ARRAY(SELECT version FROM webhook_older_secrets AS older
                 WHERE older.endpoint_id = endpoint.id AND older.expires_at > now()
                 ORDER BY version DESC) AS older_versions
    FROM webhook_deliveries AS delivery JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
    WHERE delivery.id = :delivery_id
    FOR UPDATE OF delivery FOR NO KEY UPDATE OF endpoint
""")

# Counted endpoint by endpoint: of a join, the planner would make a reading of the whole table.
_LEASE: Final = text(f"""
    UPDATE webhook_deliveries SET lease_until = now() + make_interval(secs => :lease_seconds)
    WHERE id = :delivery_id AND (
        SELECT coalesce(sum(busy.number) FILTER (WHERE theirs.id = :endpoint_id), 0)
                   < CASE WHEN :is_slow THEN {MAX_UNDER_WAY_SLOW} ELSE {MAX_UNDER_WAY} END
               AND (NOT :is_slow OR coalesce(sum(busy.number) FILTER (WHERE theirs.is_slow), 0)
                                        < {MAX_UNDER_WAY_SLOW_OF_OWNER})
        FROM webhook_endpoints AS theirs CROSS JOIN LATERAL (
            SELECT count(*) AS number FROM webhook_deliveries AS other
            WHERE other.endpoint_id = theirs.id AND other.lease_until > now()
        ) AS busy
        WHERE theirs.user_id = :user_id
    )
    RETURNING id
""")

_POSTPONE: Final = text("""
    UPDATE webhook_deliveries SET next_attempt_at = now() + make_interval(secs => :delay_seconds)
    WHERE id = :delivery_id
    RETURNING next_attempt_at
""")

_REMEMBER_PACE: Final = """
    WITH endpoint AS (
        UPDATE webhook_endpoints SET is_slow = :is_slow WHERE id = :endpoint_id AND is_slow <> :is_slow
    )
"""

# Whoever got through knows better than whoever did not, and than whoever gave up meanwhile.
_DELIVERED: Final = text(f"""
    {_REMEMBER_PACE}
    UPDATE webhook_deliveries
    SET status = 'DELIVERED', attempts = greatest(attempts, :attempt), last_status = :status, last_error = NULL,
        next_attempt_at = NULL, lease_until = NULL, delivered_at = now()
    WHERE id = :delivery_id AND status <> 'DELIVERED'
""")

_FAILED: Final = text(f"""
    {_REMEMBER_PACE}
    UPDATE webhook_deliveries
    SET status = CASE WHEN CAST(:delay_seconds AS float8) IS NULL THEN 'FAILED' ELSE 'PENDING' END,
        attempts = :attempt, last_status = :status, last_error = :error, lease_until = NULL,
        next_attempt_at = now() + make_interval(secs => CAST(:delay_seconds AS float8))
    WHERE id = :delivery_id AND status = 'PENDING' AND attempts = :attempt - 1
    RETURNING id, next_attempt_at
""")

_DROP: Final = text("""
    UPDATE webhook_deliveries SET status = 'FAILED', last_error = :error, next_attempt_at = NULL
    WHERE id = :delivery_id
""")

_DISABLE: Final = text("""
    UPDATE webhook_endpoints SET status = 'DISABLED', disabled_reason = :reason, disabled_at = now()
    WHERE id = :endpoint_id AND status = 'ENABLED' AND NOT EXISTS (
        SELECT FROM webhook_deliveries
        WHERE endpoint_id = :endpoint_id AND delivered_at >= CAST(:silent_since AS timestamptz)
    )
    RETURNING id
""")


class AttemptClaim(StrEnum):
    """What the message of an attempt finds."""

    OURS = "ours to make"
    MADE = "made before, or not wanted any more"
    UNDER_WAY = "under way, or left without an outcome by a sender that is gone"
    TOO_MANY = "one more than its endpoint may have under way"
    DISABLED = "its endpoint is disabled"


@dataclass(frozen=True)
class Attempt:
    """One attempt, with all that it takes to make it."""

    delivery_id: UUID
    endpoint_id: UUID
    event_id: UUID
    number: int
    url: str
    body: str
    secret_versions: tuple[int, ...]
    """Those to sign with, newest first."""
    of_round: int
    """Which attempt of its round it is, from 1."""
    started_at: datetime
    age_seconds: float
    """Since the round began, when it was claimed."""

    def record_delivered(self, connection: Connection, result: AttemptResult) -> None:
        connection.execute(_DELIVERED, self._outcome(result))

    def record_failed(
        self, connection: Connection, result: AttemptResult, delay_seconds: float | None
    ) -> "Recorded | None":
        """Records the failure, and when it is tried again (None: never). None: somebody has recorded an outcome of
        this attempt before."""
        recorded = connection.execute(
            _FAILED, {**self._outcome(result), "error": result.error, "delay_seconds": delay_seconds}
        ).first()
        return None if recorded is None else Recorded(recorded.next_attempt_at)

    def disable_endpoint(self, connection: Connection, reason: DisabledReason) -> bool:
        """Has nothing more sent to the endpoint. False: it is disabled already, or it is undeliverable and something
        else got through since this round began."""
        silent_since = self.started_at if reason is DisabledReason.UNDELIVERABLE else None
        disabled = connection.execute(
            _DISABLE, {"endpoint_id": self.endpoint_id, "reason": reason, "silent_since": silent_since}
        )
        return disabled.first() is not None

    def _outcome(self, result: AttemptResult) -> dict[str, Any]:
        return {
            "delivery_id": self.delivery_id,
            "attempt": self.number,
            "status": result.status,
            "endpoint_id": self.endpoint_id,
            "is_slow": result.seconds > SLOW_SECONDS,
        }


@dataclass(frozen=True)
class Recorded:
    """A failure on record."""

    next_attempt_at: datetime | None


def fan_out(connection: Connection, event: CloudEvent, body: str) -> Sequence[UUID]:
    """Makes a delivery for each enabled endpoint of the order's owner that has none of this event; returns their
    ids."""
    parameters = {
        "event_id": event.id,
        "event_type": event.type,
        "order_id": event.subject,
        "body": body,
        "ids": [uuid7() for _ in range(MAX_WEBHOOKS)],
    }
    return connection.execute(_FAN_OUT, parameters).scalars().all()


def claim(connection: Connection, delivery_id: UUID, number: int) -> tuple[AttemptClaim, Attempt | None]:
    """Claims the right to make an attempt, which is there only if it is ours."""
    row = connection.execute(_FIND, {"delivery_id": delivery_id}).first()
    # The row counts, not the message: an attempt that is not the next one is none.
    if row is None or row.status != "PENDING" or row.attempts + 1 != number:
        return AttemptClaim.MADE, None
    if row.is_under_way:
        return AttemptClaim.UNDER_WAY, None
    if row.endpoint_status == "DISABLED":
        connection.execute(_DROP, {"delivery_id": delivery_id, "error": DeliveryError.ENDPOINT_DISABLED})
        return AttemptClaim.DISABLED, None
    lease = {
        "delivery_id": delivery_id,
        "lease_seconds": LEASE_SECONDS,
        "endpoint_id": row.endpoint_id,
        "user_id": row.user_id,
        "is_slow": row.is_slow,
    }
    if connection.execute(_LEASE, lease).first() is None:
        return AttemptClaim.TOO_MANY, None
    newest = row.secret_version
    return AttemptClaim.OURS, Attempt(
        delivery_id,
        row.endpoint_id,
        row.event_id,
        number,
        row.url,
        row.body,
        (newest, *((newest - 1,) if row.is_rotating else ()), *row.older_versions),
        number - row.first_attempt + 1,
        row.started_at,
        row.age_seconds,
    )


def postpone(connection: Connection, delivery_id: UUID, delay_seconds: float) -> datetime:
    """Has the attempt made later; returns when."""
    due: datetime = connection.execute(
        _POSTPONE, {"delivery_id": delivery_id, "delay_seconds": delay_seconds}
    ).scalar_one()
    return due
