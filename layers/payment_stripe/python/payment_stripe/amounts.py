"""Amounts as Stripe counts them (docs.stripe.com/currencies). For most currencies its minor unit is ISO 4217's."""

from typing import Final

_UNITS: Final = frozenset({"MGA"})
"""ISO 4217 gives these two digits, Stripe none."""
_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
"""ISO 4217 gives these none, Stripe two, of which none may be used."""
_STEPS_OF_TEN: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Three digits for both, of which Stripe takes the last one as 0 only."""
_NOT_TAKEN: Final = frozenset({"IQD", "LYD"})
"""Stripe does not say how many digits it would give these: it does not take them."""


class AmountNotTaken(ValueError):
    """Stripe has no such amount."""


def to_stripe(amount: int, currency: str) -> int:
    """Stripe's number for an amount in minor units of ISO 4217.

    Raises:
        AmountNotTaken: it would have to be rounded, or the currency is not Stripe's.
    """
    if currency in _NOT_TAKEN:
        raise AmountNotTaken(f"Stripe does not take {currency}")
    if currency in _HUNDREDTHS:
        return amount * 100
    if amount % _step(currency):
        raise AmountNotTaken(f"an amount in {currency} must be a multiple of {_step(currency)} minor units")
    return amount // 100 if currency in _UNITS else amount


def from_stripe(amount: int, currency: str) -> int:
    """An amount of Stripe's in minor units of ISO 4217. `currency` is in upper case here, as everywhere of ours."""
    if currency in _HUNDREDTHS:
        return amount // 100
    return amount * 100 if currency in _UNITS else amount


def _step(currency: str) -> int:
    if currency in _UNITS:
        return 100
    return 10 if currency in _STEPS_OF_TEN else 1
