"""Currencies in circulation, and amounts in them as people read them.

An amount is an integer in minor units, and how many of those are one unit is the currency's. Integers all the way: no
float holds every amount.
"""

from collections.abc import Mapping
from typing import Final

from orders.domain import Locale

CURRENCIES: Final[Mapping[str, int]] = {
    currency: digits
    for digits, currencies in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
        2: """
            AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
            CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
            JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD
            NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN
            SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
        """,
        3: "BHD IQD JOD KWD LYD OMR TND",
    }.items()
    for currency in currencies.split()
}
"""ISO 4217's codes of what people pay with, and the digits of their minor units, as of 2026-01-01. Funds, metals, units
of account and test codes are none. A test holds it against the package `iso4217`."""

_SWAPPED_SEPARATORS: Final = str.maketrans(",.", ".,")


def decimal_text(minor_units: int, currency: str) -> str:
    """`1,234.50` of USD, `1,500` of JPY, `1.250` of KWD. A code that is no currency is shown with two."""
    digits = CURRENCIES.get(currency, 2)
    whole, fraction = divmod(abs(minor_units), 10**digits)
    sign = "-" if minor_units < 0 else ""
    return f"{sign}{whole:,}" + (f".{fraction:0{digits}}" if digits else "")


def format_money(minor_units: int, currency: str, locale: Locale) -> str:
    """`USD 1,234.50` in English, `1.234,50 USD` in Spanish."""
    text = decimal_text(minor_units, currency)
    match locale:
        case Locale.EN:
            return f"{currency} {text}"
        case Locale.ES:
            return f"{text.translate(_SWAPPED_SEPARATORS)} {currency}"
