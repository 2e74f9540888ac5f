"""Currencies and amounts: what ISO 4217 says of each."""

import iso4217
import pytest

from orders.domain import Locale
from orders.money import CURRENCIES, format_money
from tests.unit.tools.cli.test_products import product
from tools.cli import products
from tools.console import money

NOT_IN_CIRCULATION = {"UYW", "XAD"}
"""Units of account that the list marks neither as funds nor by the lack of a minor unit."""


def test_currencies_are_those_that_iso_4217_lists_as_circulating() -> None:
    """A new release of the list makes this fail: bring `orders.money` up to date."""
    listed = {
        entry.findtext("Ccy", ""): entry.findtext("CcyMnrUnts", "").strip()
        for entry in iso4217.raw_xml.iter("CcyNtry")
        if not any("IsFund" in name.attrib for name in entry.iter("CcyNm"))
    }
    circulating = {code: int(digits) for code, digits in listed.items() if digits.isdigit()}

    assert {code: digits for code, digits in circulating.items() if code not in NOT_IN_CIRCULATION} == {
        **CURRENCIES
    }


@pytest.mark.parametrize(
    ("minor_units", "currency", "english", "spanish"),
    [
        (123450, "USD", "USD 1,234.50", "1.234,50 USD"),
        (5, "EUR", "EUR 0.05", "0,05 EUR"),
        (100, "EUR", "EUR 1.00", "1,00 EUR"),
        (1500, "JPY", "JPY 1,500", "1.500 JPY"),
        (1_500_000, "KRW", "KRW 1,500,000", "1.500.000 KRW"),
        (1500, "CLP", "CLP 1,500", "1.500 CLP"),
        (12345, "KWD", "KWD 12.345", "12,345 KWD"),
        (7, "BHD", "BHD 0.007", "0,007 BHD"),
        (-150, "USD", "USD -1.50", "-1,50 USD"),
        (9007199254740993, "USD", "USD 90,071,992,547,409.93", "90.071.992.547.409,93 USD"),
    ],
)
def test_money_is_formatted_from_minor_units(
    minor_units: int, currency: str, english: str, spanish: str
) -> None:
    assert format_money(minor_units, currency, Locale.EN) == english
    assert format_money(minor_units, currency, Locale.ES) == spanish


@pytest.mark.parametrize(
    ("minor_units", "currency", "shown"),
    [
        (12900, "USD", "129.00 USD"),
        (1500, "JPY", "1,500 JPY"),
        (1250, "KWD", "1.250 KWD"),
        (1_000_000, "XOF", "1,000,000 XOF"),
        (-5, "EUR", "-0.05 EUR"),
    ],
)
def test_a_terminal_shows_an_amount_with_its_currency_s_digits(
    minor_units: int, currency: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert money(minor_units, currency) == shown

    of_that_price = product(1, "Poster").model_copy(update={"unit_price": minor_units, "currency": currency})
    products.show([of_that_price])

    assert shown in capsys.readouterr().out
