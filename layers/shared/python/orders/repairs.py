"""The book of repairs: what was put right without an operator, for operators to read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text


class Repair(StrEnum):
    SAGA_RESUMED = "SAGA_RESUMED"
    """An execution was started for an order that nobody worked on."""
    REFUND_RESUMED = "REFUND_RESUMED"
    """An execution was started for a refund that nobody worked on."""
    REFUND_GIVEN_UP = "REFUND_GIVEN_UP"
    """Resuming did not help: the refund needs an operator."""
    ORDER_GIVEN_UP = "ORDER_GIVEN_UP"
    """Resuming did not help: the order needs an operator."""
    RESERVATION_EXPIRED = "RESERVATION_EXPIRED"
    PAYMENT_SETTLED = "PAYMENT_SETTLED"
    """Our record of a payment was brought in line with the gateway's."""
    PAYMENT_GIVEN_BACK = "PAYMENT_GIVEN_BACK"
    """A capture was found on a cancelled order and refunded."""
    PAYMENT_CONFLICT = "PAYMENT_CONFLICT"
    """Found, not repaired: no rule says who is right."""


INSERT: Final = "INSERT INTO repairs (kind, order_id, detail)"
"""For a statement that repairs many orders at once; a SELECT of the three follows."""

_RECORD: Final = text(f"{INSERT} VALUES (:kind, :order_id, :detail)")


def record(connection: Connection, repair: Repair, order_id: UUID, details: Mapping[str, object]) -> None:
    """Writes a repair down in its own transaction. `details` are ids and codes, never personal data."""
    detail = " ".join(f"{name}={value}" for name, value in details.items())
    connection.execute(_RECORD, {"kind": repair, "order_id": order_id, "detail": detail})
