"""What people do at the payment provider, without us: refunds, and disputes that customers open at their bank.

For demonstrations and tests, as `payment_simulator.outages` is. We learn of it by the provider's webhook, or by asking.
"""

from typing import Final

from sqlalchemy import Connection, text

_REFUND: Final = text("""
    WITH given_back AS (
        UPDATE gateway.payments
        SET refunded = refunded + CAST(:amount AS bigint),
            status = CASE WHEN refunded + CAST(:amount AS bigint) = amount THEN 'REFUNDED' ELSE status END
        WHERE key = :key AND status = 'CAPTURED' AND refunded + CAST(:amount AS bigint) <= amount
        RETURNING key
    ), entered AS (
        INSERT INTO gateway.entries (key, kind, amount) SELECT key, 'REFUND', :amount FROM given_back
    )
    INSERT INTO gateway.refunds (key, amount) SELECT key, :amount FROM given_back
    RETURNING refund_id
""")
_OPEN_DISPUTE: Final = text("""
    INSERT INTO gateway.disputes (key, amount, reason)
    SELECT key, coalesce(CAST(:amount AS bigint), amount - refunded), :reason
    FROM gateway.payments WHERE key = :key AND status = 'CAPTURED'
    RETURNING dispute_id
""")
_CLOSE_DISPUTES: Final = text("""
    UPDATE gateway.disputes SET status = :status WHERE key = :key AND status = 'OPEN' RETURNING dispute_id
""")


def refund(connection: Connection, key: str, amount: int) -> str | None:
    """Gives back `amount` (minor units) of the payment. Returns the refund's id; None: there is not so much left."""
    return _id(connection.scalar(_REFUND, {"key": key, "amount": amount}))


def open_dispute(
    connection: Connection, key: str, amount: int | None = None, reason: str = "fraudulent"
) -> str | None:
    """Opens a dispute of `amount` (minor units), or of all that is left. Returns its id; None: nothing was captured."""
    return _id(connection.scalar(_OPEN_DISPUTE, {"key": key, "amount": amount, "reason": reason}))


def close_disputes(connection: Connection, key: str, *, is_won: bool) -> list[str]:
    """Decides the payment's open disputes. Returns their ids."""
    parameters = {"key": key, "status": "WON" if is_won else "LOST"}
    return [str(dispute_id) for dispute_id in connection.scalars(_CLOSE_DISPUTES, parameters)]


def _id(found: object | None) -> str | None:
    return None if found is None else str(found)
