"""What we ask of a payment gateway.

Every call carries the order's key, which is stable across retries, so a gateway can recognise a repeated request.
The shape is that of the common providers: a payment intent is created under a key, captured at most once, refunded
up to what was captured, and can be cancelled so that no later capture succeeds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class GatewayStatus(StrEnum):
    OPEN = "OPEN"
    """Known, but nothing decided: attempts so far failed technically."""
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


@dataclass(frozen=True)
class GatewayPayment:
    """The gateway's record of one key."""

    payment_id: str
    status: GatewayStatus
    error: str | None = None
    """For DECLINED: the class name of the business failure."""


@dataclass(frozen=True)
class Charge:
    """What to capture. `amount` is in minor units of `currency` (ISO 4217); `method` is the provider's token."""

    amount: int
    currency: str
    method: str


class PaymentGateway(Protocol):
    """What a payment provider implements. `orders.payments.provider` knows which there are."""

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        """Charges at most once per key. A repeated call returns or raises the same as the first.

        Raises:
            PaymentDeclined, FraudSuspected: final.
            PaymentGatewayUnavailable: nothing was charged, try again.
            PaymentGatewayTimeout: the outcome is unknown, `find` tells.
            StepFenced: the key was voided.
        """
        ...

    def find(self, key: str) -> GatewayPayment | None:
        """The gateway's record of the key, or None if it never heard of it.

        Raises:
            PaymentGatewayUnavailable: try again.
        """
        ...

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        """Closes the key to any later capture, also one that the gateway has not heard of yet.

        Returns the record as it is then. It is CAPTURED if a capture came first; a refund is then needed.
        """
        ...

    def refund(self, key: str) -> GatewayPayment:
        """Gives back what was captured, once.

        Raises:
            NothingToRefund: nothing was captured under the key.
        """
        ...


class NothingToRefund(Exception):
    """A refund was asked for without a capture: a defect of ours, which the gateway reports."""
