"""When an order under review may be closed: what its end needs of its money and its stock (promises I3 and I5)."""

from dataclasses import dataclass

from orders.domain import OrderStatus
from orders.payments import records
from orders.payments.records import PaymentBalance


@dataclass(frozen=True)
class Balance:
    """What is held of an order. `total` is in minor units of its currency."""

    total: int
    money: PaymentBalance
    lines: int
    reserved: int
    """Lines whose units are held back."""
    sold: int
    """Lines whose units are sold."""


def blockers(balance: Balance, end: OrderStatus) -> list[str]:
    """Why the order cannot be closed as `end`, CONFIRMED or CANCELLED; nothing if it can."""
    is_confirmed = end is OrderStatus.CONFIRMED
    found = records.blockers(balance.money, end, due=balance.total if is_confirmed else 0)
    if balance.reserved:
        found.append(f"{balance.reserved} of {balance.lines} lines are still reserved")
    if is_confirmed and balance.sold != balance.lines:
        found.append(f"{balance.sold} of {balance.lines} lines are sold")
    if not is_confirmed and balance.sold:
        found.append(f"{balance.sold} of {balance.lines} lines are sold and were not restored")
    return found
