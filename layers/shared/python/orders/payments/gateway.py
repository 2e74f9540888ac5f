"""What we ask of a payment gateway.

Every call carries the order's key, which is stable across retries, so a gateway can recognise a repeated request.
The shape is that of the common providers: a payment intent is created under a key, captured at most once, refunded
up to what was captured, and can be cancelled so that no later capture succeeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class GatewayStatus(StrEnum):
    OPEN = "OPEN"
    """Known, but nothing decided: attempts so far failed technically."""
    ACTION_REQUIRED = "ACTION_REQUIRED"
    """The customer must act, e.g. authenticate. The gateway may capture then, without being asked again."""
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"
    """Of all that was captured nothing is left."""


@dataclass(frozen=True)
class CustomerAction:
    """What the customer's client needs to let them act, in the provider's own terms."""

    type: str
    """E.g. `authenticate`."""
    client_secret: str | None = field(default=None, repr=False)
    """For the provider's library in the customer's browser. It is the owner's alone: never in a log."""


@dataclass(frozen=True)
class GatewayPayment:
    """The gateway's record of one key."""

    payment_id: str
    status: GatewayStatus
    error: str | None = None
    """For DECLINED: the class name of the business failure."""
    captured: int = 0
    """Minor units, as are those that were given back of them."""
    refunded: int = 0
    action: CustomerAction | None = None
    """For ACTION_REQUIRED."""


@dataclass(frozen=True)
class Charge:
    """What to capture. `amount` is in minor units of `currency` (ISO 4217); `method` is the provider's token."""

    amount: int
    currency: str
    method: str


@dataclass(frozen=True)
class GatewayRefund:
    """Money that the gateway has given back, or is giving back: one that failed is none."""

    refund_id: str
    """The provider's own."""
    refund_key: str | None
    """None: it was not made by us, but e.g. in the provider's dashboard."""
    amount: int
    """Minor units."""


class DisputeStatus(StrEnum):
    """Of a charge that the customer's bank contests."""

    OPEN = "OPEN"
    WON = "WON"
    """The money is ours."""
    LOST = "LOST"
    """The customer has it back. The gateway's refunds do not have it."""


@dataclass(frozen=True)
class GatewayDispute:
    dispute_id: str
    """The provider's own."""
    amount: int
    """Minor units of `currency`."""
    currency: str
    reason: str
    """A word of the provider's own, e.g. `fraudulent`."""
    status: DisputeStatus


class PaymentGateway(Protocol):
    """What a payment provider implements. `orders.payments.provider` knows which there are."""

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        """Charges at most once per key. A repeated call returns or raises the same as the first.

        Returns a payment that is CAPTURED, or ACTION_REQUIRED with what the customer must do; REFUNDED if it was given
        back meanwhile.

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

        Returns the record as it is then. It is CAPTURED if a capture came first; a refund is then needed. A
        customer who still has to act comes too late from then on.
        """
        ...

    def refund(self, key: str) -> GatewayPayment:
        """Gives back all that is left of what was captured, once.

        Raises:
            NothingToRefund: nothing was captured under the key.
        """
        ...

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        """Gives back `amount` (minor units), once per `refund_key`. A repeated call gives back no more.

        Raises:
            RefundRefused: final; more than is left of it, or the provider's own reason.
            PaymentGatewayUnavailable, PaymentGatewayTimeout: try again with the same `refund_key`.
        """
        ...

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        """All that was given back of the payment, whoever did it; nothing of a key that the gateway never heard of.

        Raises:
            PaymentGatewayUnavailable: try again.
        """
        ...

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        """The payment's disputes as they stand now; none of a key that the gateway never heard of.

        Raises:
            PaymentGatewayUnavailable: try again.
        """
        ...


class RefundRefused(Exception):
    """The provider gives back nothing, and would say the same again. The text is safe to be shown to an operator."""


class NothingToRefund(Exception):
    """A refund was asked for without a capture: a defect of ours, which the gateway reports."""
