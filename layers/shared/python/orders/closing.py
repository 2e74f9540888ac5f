"""What is held of an order under review, and which of its two ends that stands in the way of (promises I3 and I5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final
from uuid import UUID

from orders.domain import Locale, OrderStatus, PaymentStatus
from orders.money import format_money
from orders.payments.gateway import GatewayStatus
from orders.payments.records import UNDECIDED

REST_SECONDS: Final = 60
"""How long an order must have been under review before it is closed. A step that its execution has given up as late
has ended by then: it runs for 25 seconds at most."""

_CONFIRMED: Final = frozenset({OrderStatus.CONFIRMED})
_CANCELLED: Final = frozenset({OrderStatus.CANCELLED})
_BOTH: Final = _CONFIRMED | _CANCELLED


class FindingCode(StrEnum):
    STOCK_RESERVED = "STOCK_RESERVED"
    STOCK_SOLD = "STOCK_SOLD"
    STOCK_FREE = "STOCK_FREE"
    """Nothing is reserved and nothing is sold."""
    MONEY_CAPTURED = "MONEY_CAPTURED"
    MONEY_REFUNDED = "MONEY_REFUNDED"
    NOTHING_CAPTURED = "NOTHING_CAPTURED"
    MONEY_UNKNOWN = "MONEY_UNKNOWN"
    GATEWAY_DISAGREES = "GATEWAY_DISAGREES"
    """Its record of the payment is not ours."""
    GATEWAY_UNAVAILABLE = "GATEWAY_UNAVAILABLE"
    STEP_MAY_RUN = "STEP_MAY_RUN"
    """The order is under review only since a moment ago."""


@dataclass(frozen=True)
class HeldLine:
    """Units of one product."""

    product_id: UUID
    name: str
    quantity: int

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"


@dataclass(frozen=True)
class Balance:
    """What is held of an order. Amounts are in minor units of its currency."""

    total: int
    currency: str
    lines: int
    reserved: Sequence[HeldLine]
    sold: Sequence[HeldLine]
    payment: PaymentStatus | None
    """Of our record. None: there is no payment."""
    captured: int
    refunded: int
    at_gateway: GatewayStatus | None
    """None: the gateway never heard of the payment."""
    gateway_answers: bool
    seconds_in_review: float


@dataclass(frozen=True)
class Finding:
    """One thing that is known of an order under review."""

    code: FindingCode
    text: str
    blocks: frozenset[OrderStatus]
    """The ends that it stands in the way of."""
    lines: Sequence[HeldLine] = ()
    amount: int | None = None
    """Minor units of the order's currency."""
    seconds: int | None = None
    """How long it lasts."""


def find(balance: Balance) -> list[Finding]:
    """All that matters for the order's end: its stock, its money, and whether somebody may still be at it."""
    found = [*_stock(balance), _money(balance)]
    gateway = _gateway(balance)
    if gateway:
        found.append(gateway)
    left = ceil(REST_SECONDS - balance.seconds_in_review)
    if left > 0:
        text = f"a step of the order may still be running: try again in {left} s"
        found.append(Finding(FindingCode.STEP_MAY_RUN, text, _BOTH, seconds=left))
    return found


def blocking(findings: Sequence[Finding], end: OrderStatus) -> list[Finding]:
    """Those that stand in the way of `end`, CONFIRMED or CANCELLED; none if the order can be closed so."""
    return [finding for finding in findings if end in finding.blocks]


def refusal(findings: Sequence[Finding], end: OrderStatus) -> str:
    """Why the order cannot be closed as `end`, and as what it can."""
    reasons = "; ".join(finding.text for finding in blocking(findings, end))
    others = [other for other in _BOTH - {end} if not blocking(findings, other)]
    instead = f". It can be closed as {others[0]}" if others else ""
    return f"The order cannot be {end}: {reasons}{instead}"


def _stock(balance: Balance) -> list[Finding]:
    found = []
    if balance.reserved:
        text = f"stock not back: {', '.join(map(str, balance.reserved))} reserved"
        found.append(Finding(FindingCode.STOCK_RESERVED, text, _BOTH, balance.reserved))
    if balance.sold:
        of_all = len(balance.sold) == balance.lines
        text = f"stock not back: {', '.join(map(str, balance.sold))} sold"
        found.append(Finding(FindingCode.STOCK_SOLD, text, _CANCELLED if of_all else _BOTH, balance.sold))
    if not found:
        found.append(Finding(FindingCode.STOCK_FREE, "stock: nothing reserved, nothing sold", _CONFIRMED))
    return found


def _money(balance: Balance) -> Finding:
    def money(amount: int) -> str:
        return format_money(amount, balance.currency, Locale.EN)

    held = balance.captured - balance.refunded
    if balance.payment is PaymentStatus.ACTION_REQUIRED:
        text = "money: the customer has to act, and can be charged until the order is resumed and undone"
        return Finding(FindingCode.MONEY_UNKNOWN, text, _BOTH)
    if balance.payment in UNDECIDED:
        text = f"money: the payment is {balance.payment}: nobody knows yet whether it was captured"
        return Finding(FindingCode.MONEY_UNKNOWN, text, _BOTH)
    if not balance.captured:
        return Finding(FindingCode.NOTHING_CAPTURED, "money: nothing captured", _CONFIRMED)
    if not held:
        text = f"money: {money(balance.captured)} captured and refunded"
        return Finding(FindingCode.MONEY_REFUNDED, text, _CONFIRMED, amount=0)
    part = f"{money(balance.refunded)} refunded" if balance.refunded else "nothing refunded"
    text = f"money not back: {money(balance.captured)} captured, {part}"
    ends = _CANCELLED if held == balance.total else _BOTH
    return Finding(FindingCode.MONEY_CAPTURED, text, ends, amount=held)


def _gateway(balance: Balance) -> Finding | None:
    """What the gateway says, if it is not what we have recorded."""
    if not balance.gateway_answers:
        text = "money: the payment gateway does not answer, and its record counts"
        return Finding(FindingCode.GATEWAY_UNAVAILABLE, text, _BOTH)
    if (
        balance.payment is PaymentStatus.ACTION_REQUIRED
        and balance.at_gateway is GatewayStatus.ACTION_REQUIRED
    ):
        return None
    has_money = balance.at_gateway is GatewayStatus.CAPTURED
    if balance.payment not in UNDECIDED and has_money == (balance.captured > balance.refunded):
        return None
    text = f"money: the payment gateway says {balance.at_gateway or 'that it knows of no payment'}"
    return Finding(FindingCode.GATEWAY_DISAGREES, text, _CANCELLED if has_money else _CONFIRMED)
