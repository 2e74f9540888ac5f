"""Whether an order's money and stock are what an end of it needs (promises I3 and I5)."""

from dataclasses import dataclass
from typing import Final

from orders.domain import OrderStatus, PaymentStatus
from orders.payments.gateway import GatewayStatus

_UNDECIDED: Final = frozenset({PaymentStatus.PENDING, PaymentStatus.UNKNOWN})


@dataclass(frozen=True)
class Books:
    """An order as it stands. Amounts are in minor units of its currency."""

    total: int
    payment: PaymentStatus | None
    held: int
    """Captured and not refunded, by our record."""
    at_gateway: GatewayStatus | None
    """The gateway's record. None: it never heard of the payment."""
    lines: int
    reserved: int
    """Lines whose units are held back."""
    sold: int
    """Lines whose units are sold."""


def misfits(books: Books, end: OrderStatus) -> list[str]:
    """What keeps the order from ending so, in words; nothing if it fits."""
    due = books.total if end is OrderStatus.CONFIRMED else 0
    found = []
    if books.payment in _UNDECIDED:
        found.append(f"the payment is {books.payment}: nobody knows yet whether money was captured")
    elif books.held != due:
        found.append(f"captured minus refunded is {books.held}, and {end} needs {due}")
    if (books.at_gateway is GatewayStatus.CAPTURED) != (due > 0):
        found.append(f"the payment gateway says {books.at_gateway or 'that it knows of no payment'}")
    if books.reserved:
        found.append(f"{books.reserved} of {books.lines} lines are still reserved")
    if end is OrderStatus.CONFIRMED and books.sold != books.lines:
        found.append(f"{books.sold} of {books.lines} lines are sold")
    if end is OrderStatus.CANCELLED and books.sold:
        found.append(f"{books.sold} of {books.lines} lines are sold and were not restored")
    return found
