"""Cancellations that an order's owner, or an administrator for them, has asked for. No other module writes
`order_cancellations`.

An order has one row, whoever asks and however often: it is the request's idempotency. Its `refund_id` is set if the
order was confirmed before.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text

from orders.domain import CancellationOutcome, FailureReason, OrderStatus, public_failure_reason
from orders.errors import CancellationClosed, OrderAlreadyCancelled, OrderInReview, RequestRefused

JOIN: Final = "LEFT JOIN order_cancellations AS cancellation ON cancellation.order_id = orders.id"
COLUMNS: Final = """
    cancellation.created_at AS cancellation_requested_at, cancellation.refund_id AS cancellation_refund_id,
    CASE orders.status WHEN 'CONFIRMED' THEN orders.updated_at + make_interval(mins => :cancellation_window_minutes)
    END AS possible_until, now() AS looked_at
"""
"""SQL for `CancellationState.of`, of a statement about `orders` with their `status` and `JOIN`. A confirmed order never
changes again, so it was updated last when it was confirmed."""

# Only while the order is on its way. The caller has barred the way to its end: `saga.turn_back`.
_RECORD: Final = text("""
    INSERT INTO order_cancellations (order_id, requested_by)
    SELECT id, :requested_by FROM orders WHERE id = :order_id AND status IN ('PENDING', 'PROCESSING')
    ON CONFLICT (order_id) DO NOTHING
    RETURNING created_at
""")

# An earlier request may have come to nothing: its order needed a review, and an operator has confirmed it.
_RECORD_FOR_REFUND: Final = text("""
    INSERT INTO order_cancellations AS cancellation (order_id, requested_by) VALUES (:order_id, :requested_by)
    ON CONFLICT (order_id) DO UPDATE SET requested_by = excluded.requested_by, created_at = excluded.created_at
    WHERE cancellation.refund_id IS NULL
    RETURNING created_at
""")

_SET_REFUND: Final = text("UPDATE order_cancellations SET refund_id = :refund_id WHERE order_id = :order_id")


@dataclass(frozen=True)
class CancellationState:
    """How an order stands towards its cancellation. All times are the database's."""

    status: OrderStatus
    """The order's."""
    requested_at: datetime | None
    """Of the request that has taken effect; None if there is none."""
    refund_id: UUID | None
    possible_until: datetime | None
    """The end of the time after the confirmation; None unless the order is confirmed."""
    is_in_time: bool
    """The order has not ended, or that time is not over."""

    @classmethod
    def of(cls, row: Row[Any]) -> "CancellationState":
        """From a row with the `COLUMNS`."""
        status = OrderStatus(row.status)
        confirmed = status is OrderStatus.CONFIRMED
        took_effect = row.cancellation_refund_id is not None or not confirmed
        return cls(
            status=status,
            requested_at=row.cancellation_requested_at if took_effect else None,
            refund_id=row.cancellation_refund_id,
            possible_until=row.possible_until,
            is_in_time=row.looked_at < row.possible_until if confirmed else not status.is_terminal,
        )

    @property
    def is_possible(self) -> bool:
        """Whether a request would have an effect now."""
        return self.requested_at is None and self.is_in_time

    def refusal(self, failure_reason: FailureReason | None) -> RequestRefused | None:
        """Why a request would be refused now; None if it would have an effect, or repeats one that has had its own.
        `failure_reason` is the order's."""
        if self.requested_at is not None or self.is_in_time:
            return None
        match self.status:
            case OrderStatus.NEEDS_REVIEW:
                return OrderInReview("An operator looks at the order, and decides how it ends")
            case OrderStatus.CANCELLED:
                return OrderAlreadyCancelled(
                    f"The order is cancelled already: {public_failure_reason(failure_reason)}"
                )
            case _:
                assert self.possible_until is not None, "it is confirmed"
                return CancellationClosed(self.possible_until)

    @property
    def outcome(self) -> CancellationOutcome | None:
        """What has become of the request, if there is one."""
        if self.requested_at is None:
            return None
        return CancellationOutcome.CANCELLING if self.refund_id is None else CancellationOutcome.REFUNDING


def record(connection: Connection, order_id: UUID, requested_by: str) -> datetime | None:
    """Remembers that an order on its way is to be cancelled; returns when that was asked for. None: the order has
    ended, or somebody has asked before."""
    recorded_at: datetime | None = connection.scalar(
        _RECORD, {"order_id": order_id, "requested_by": requested_by}
    )
    return recorded_at


def record_for_refund(connection: Connection, order_id: UUID, requested_by: str) -> datetime | None:
    """The same for a confirmed order, whose refund follows in the same transaction: `set_refund`. None: somebody has
    asked before, and has their refund."""
    recorded_at: datetime | None = connection.scalar(
        _RECORD_FOR_REFUND, {"order_id": order_id, "requested_by": requested_by}
    )
    return recorded_at


def set_refund(connection: Connection, order_id: UUID, refund_id: UUID) -> None:
    """Remembers the refund that a confirmed order's cancellation came to."""
    connection.execute(_SET_REFUND, {"order_id": order_id, "refund_id": refund_id})
