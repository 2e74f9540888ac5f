"""What a customer's card does in the demonstration, and the payment method that does it at each provider."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tools.cloud.settings import STRIPE
from tools.cloud.stack import Stack
from tools.stripe.server import Fault, StripeServer


class Card(StrEnum):
    """The values are the simulator's test methods."""

    PAYS = "pm_card_visa"
    IS_DECLINED = "pm_card_declined"
    LOOKS_FRAUDULENT = "pm_card_fraud"
    IS_CHARGED_THEN_TIMES_OUT = "pm_card_timeout"
    FAILS_TWICE = "pm_card_flaky"
    ALWAYS_FAILS = "pm_card_down"
    NEEDS_ITS_CUSTOMER = "pm_card_requires_action"


_AT_STRIPE: Final[Mapping[Card, str]] = {
    Card.PAYS: "pm_card_visa",
    Card.IS_DECLINED: "pm_card_chargeDeclined",
    Card.LOOKS_FRAUDULENT: "pm_card_radarBlock",
    Card.IS_CHARGED_THEN_TIMES_OUT: "pm_card_mastercard",
    Card.FAILS_TWICE: "pm_card_visa_debit",
    Card.ALWAYS_FAILS: "pm_card_discover",
    Card.NEEDS_ITS_CUSTOMER: "pm_card_authenticationRequired",
}
"""Stripe's test methods (docs.stripe.com/testing). Of its own accord none fails technically: see `_FAULTS`."""


@dataclass(frozen=True)
class _StripeFault:
    """What the fake does with requests about payments with one method."""

    fault: Fault
    on: str
    """Matches the request's method and path."""
    times: int


_OFTEN: Final = 1_000
# More than a step has: the step fails at once, and the saga repeats it.
_RETRY_AFTER_SECONDS: Final = 30
_FAULTS: Final[Mapping[Card, tuple[_StripeFault, ...]]] = {
    # The response to the charge is lost, and the first look at what became of it is refused.
    Card.IS_CHARGED_THEN_TIMES_OUT: (
        _StripeFault("lost", r"^POST .*/confirm$", 1),
        _StripeFault("rate_limited", r"^GET /v1/payment_intents/", 1),
    ),
    # By themselves, as the simulator's do: of the whole of Stripe, the circuit breaker would make all others wait.
    Card.FAILS_TWICE: (_StripeFault("locked", r"^POST /v1/payment_intents$", 2),),
    Card.ALWAYS_FAILS: (_StripeFault("locked", r"^POST /v1/payment_intents$", _OFTEN),),
}


def method(card: Card, payment_provider: str) -> str:
    """The payment method that an order names."""
    return _AT_STRIPE[card] if payment_provider == STRIPE else card


@contextmanager
def on_the_table(stack: Stack) -> Iterator[None]:
    """Every card does what it should for as long as it is held: Stripe's fake is told which payments fail."""
    if stack["payment_provider"] != STRIPE:
        yield
        return
    server = StripeServer(stack["stripe"]["url"])
    # Also what an interrupted demonstration has left.
    server.heal()
    for card, faults in _FAULTS.items():
        for fault in faults:
            server.fail(
                fault.fault,
                fault.on,
                times=fault.times,
                seconds=_RETRY_AFTER_SECONDS,
                payment_method=_AT_STRIPE[card],
            )
    try:
        yield
    finally:
        server.heal()
