"""What customers read."""

from uuid import UUID

import pytest

from functions.notify.money import format_money
from functions.notify.templates import Recipient, render
from orders.domain import Locale, Notification

ORDER = UUID("018f3f7e-0000-7000-8000-000000000001")


def recipient(locale: Locale) -> Recipient:
    return Recipient(ORDER, "alice@example.com", locale, total_amount=123450, currency="USD")


@pytest.mark.parametrize(
    ("minor_units", "currency", "english", "spanish"),
    [
        (123450, "USD", "USD 1,234.50", "1.234,50 USD"),
        (5, "EUR", "EUR 0.05", "0,05 EUR"),
        (100, "EUR", "EUR 1.00", "1,00 EUR"),
        (1500, "JPY", "JPY 1,500", "1.500 JPY"),
        (12345, "KWD", "KWD 12.345", "12,345 KWD"),
        (9007199254740993, "USD", "USD 90,071,992,547,409.93", "90.071.992.547.409,93 USD"),
    ],
)
def test_money_is_formatted_from_minor_units(
    minor_units: int, currency: str, english: str, spanish: str
) -> None:
    assert format_money(minor_units, currency, Locale.EN) == english
    assert format_money(minor_units, currency, Locale.ES) == spanish


@pytest.mark.parametrize("locale", list(Locale))
@pytest.mark.parametrize("notification", list(Notification))
def test_every_notification_has_a_mail_in_every_language(notification: Notification, locale: Locale) -> None:
    mail = render(notification, recipient(locale))
    assert mail.to == "alice@example.com"
    assert str(ORDER) in mail.body
    assert format_money(123450, "USD", locale) in mail.body
    assert "{" not in mail.subject + mail.body
    assert "\n" not in mail.subject


def test_no_two_mails_are_alike() -> None:
    mails = [render(notification, recipient(locale)) for notification in Notification for locale in Locale]
    assert len({mail.subject for mail in mails}) == len(mails)
    assert len({mail.body for mail in mails}) == len(mails)
