"""Amounts as customers read them."""

from collections.abc import Mapping
from typing import Final

from orders.domain import Locale

_DECIMALS: Final[Mapping[str, int]] = {
    currency: decimals
    for decimals, currencies in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for currency in currencies.split()
}
"""ISO 4217's minor units, where they are not two decimals."""
_SWAPPED_SEPARATORS: Final = str.maketrans(",.", ".,")


def format_money(minor_units: int, currency: str, locale: Locale) -> str:
    """`USD 1,234.50` in English, `1.234,50 USD` in Spanish. Integers all the way: no float holds every amount."""
    decimals = _DECIMALS.get(currency, 2)
    whole, fraction = divmod(minor_units, 10**decimals)
    digits = f"{whole:,}" + (f".{fraction:0{decimals}}" if decimals else "")
    match locale:
        case Locale.EN:
            return f"{currency} {digits}"
        case Locale.ES:
            return f"{digits.translate(_SWAPPED_SEPARATORS)} {currency}"
