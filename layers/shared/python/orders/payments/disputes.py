"""Charges that a customer's bank contests. No other module writes `payment_disputes`.

A dispute is the provider's: we record how it stands there, and never decide anything of it. What is contested, or was
lost, can not be refunded as well (`orders.refunds`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.payments.gateway import DisputeStatus, GatewayDispute

# As `orders.refunds.grant` does: what is granted, and what is contested, is decided one after the other.
_LOCK: Final = text("SELECT FROM payments WHERE order_id = :order_id FOR NO KEY UPDATE")

# What was asked for later is at least as new; `updated_at` says when. An answer that was on its way for long does not
# undo a later one.
_RECORD: Final = text("""
    WITH known AS (SELECT status FROM payment_disputes WHERE provider_dispute_id = :dispute_id)
    INSERT INTO payment_disputes AS dispute
        (provider_dispute_id, order_id, amount, currency, reason, status, created_at, updated_at)
    VALUES (:dispute_id, :order_id, :amount, :currency, :reason, :status, :asked_at, :asked_at)
    ON CONFLICT (provider_dispute_id) DO UPDATE
    SET amount = excluded.amount, reason = excluded.reason, status = excluded.status, updated_at = excluded.updated_at
    WHERE dispute.updated_at < excluded.updated_at
    RETURNING NOT EXISTS (SELECT FROM known WHERE status = :status) AS is_news
""")


def record(
    connection: Connection, order_id: UUID, found: Sequence[GatewayDispute], asked_at: datetime
) -> list[DisputeStatus]:
    """Records the disputes of the order's payment as the gateway told them when it was asked at `asked_at` or later.
    Returns the status of each that is new or has another one now."""
    if not found:
        return []
    connection.execute(_LOCK, {"order_id": order_id})
    news = []
    for dispute in found:
        parameters = {
            "dispute_id": dispute.dispute_id,
            "order_id": order_id,
            "amount": dispute.amount,
            "currency": dispute.currency,
            "reason": dispute.reason,
            "status": dispute.status,
            "asked_at": asked_at,
        }
        if connection.scalar(_RECORD, parameters):
            news.append(dispute.status)
    return news
