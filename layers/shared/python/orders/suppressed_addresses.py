"""Addresses that get no mail any more, from any user, until an operator allows them again.

An address is found by a digest of it (the database's function `address_digest`: SHA-256 of its small letters, salted),
so that one whose text is erased stays suppressed.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from orders.domain import MailFeedback

# A complaint weighs more: its recipient asked for it.
_SUPPRESS: Final = text("""
    INSERT INTO suppressed_addresses AS known (digest, address, reason, order_id)
    VALUES (address_digest(:address), :kept, :reason, :order_id)
    ON CONFLICT (digest) DO UPDATE SET reason = excluded.reason WHERE excluded.reason = 'COMPLAINED'
""")


def reason_of(address: str) -> str:
    """SQL: why the address, a column with its table's name, gets no mail (a `MailFeedback`); NULL if it may."""
    return f"(SELECT reason FROM suppressed_addresses WHERE digest = address_digest({address}))"


def suppress(connection: Connection, address: str, feedback: MailFeedback, order_id: UUID | None) -> None:
    """Lets no mail go to the address (in small letters) any more. Its text is kept with the order's contact data; of a
    mail that was of no order, only the digest."""
    kept = address if order_id else None
    connection.execute(
        _SUPPRESS, {"address": address, "kept": kept, "reason": feedback, "order_id": order_id}
    )
