"""Stripe's payment methods and cards for tests (docs.stripe.com/testing), as cards that localstripe knows.

localstripe declines one card only when it is charged, and asks for authentication with a few. The front remembers of
which kind a card was.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Decline:
    """How the card's bank, or Stripe itself, refuses a charge."""

    code: str
    decline_code: str
    outcome: str = "issuer_declined"


@dataclass(frozen=True)
class TestCard:
    """What a number does."""

    __test__ = False

    number: str
    """Of localstripe's cards, the one that behaves like it."""
    decline: Decline | None = None


_DECLINING: Final = "4000000000000341"
_AUTHENTICATED_THEN_DECLINED: Final = "4000008260003178"


def _declined(decline_code: str, code: str = "card_declined", outcome: str = "issuer_declined") -> TestCard:
    return TestCard(_DECLINING, Decline(code, decline_code, outcome))


CARDS: Final = {
    "4000000000000002": _declined("generic_decline"),
    "4000000000000341": _declined("generic_decline"),
    "4000000000009995": _declined("insufficient_funds"),
    "4000000000009987": _declined("lost_card"),
    "4000000000009979": _declined("stolen_card"),
    "4000000000000069": _declined("expired_card", code="expired_card"),
    "4000000000000127": _declined("incorrect_cvc", code="incorrect_cvc"),
    "4000000000000119": _declined("processing_error", code="processing_error"),
    "4000000000006975": _declined("card_velocity_exceeded"),
    "4100000000000019": _declined("fraudulent", outcome="blocked"),
    "4000000000004954": _declined("fraudulent", outcome="blocked"),
    "4000008260003178": TestCard(
        _AUTHENTICATED_THEN_DECLINED, Decline("card_declined", "insufficient_funds")
    ),
    "4000008400001629": TestCard(_AUTHENTICATED_THEN_DECLINED, Decline("card_declined", "generic_decline")),
}
"""Numbers that are not charged, with how. Any other number is localstripe's own affair."""

METHODS: Final = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_discover": "6011111111111117",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": "4000000000006975",
    "pm_card_chargeDeclinedFraudulent": "4100000000000019",
    "pm_card_radarBlock": "4100000000000019",
    "pm_card_riskLevelHighest": "4000000000004954",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_threeDSecureRequired": "4000000000003063",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": "4000008260003178",
    "pm_card_threeDSecureRequiredChargeDeclined": "4000008400001629",
}
"""The names under which Stripe takes these cards without anybody typing a number."""


def behaviour(number: str) -> TestCard:
    """What a number does, as a card of localstripe's."""
    return CARDS.get(number, TestCard(number))
