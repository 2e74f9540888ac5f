"""What customers read."""

import html
import re
from dataclasses import replace
from itertools import product
from typing import Final
from uuid import UUID

import pytest
from jinja2 import UndefinedError

from functions.notify import rendering
from functions.notify.rendering import Line, Order, RenderedMessage, render
from orders.domain import Channel, Locale, Notification
from orders.errors import UnexpectedEvent
from orders.money import format_money

ID = UUID("018f3f7e-0000-7000-8000-000000000001")
EMAIL, PHONE = "alice@example.com", "+34600123456"

EVERY = pytest.mark.parametrize(("notification", "locale"), list(product(Notification, Locale)))

GSM_LETTERS: Final = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà "
"""What GSM 03.38 has beside the letters and digits of English."""
ONE_TEXT_MESSAGE: Final = 160


def order(locale: Locale) -> Order:
    lines = (Line("Coffee <& cream>", 2, 1250), Line('Té "verde"', 1, 120950))
    return Order(ID, EMAIL, PHONE, locale, lines, total_amount=123450, currency="USD")


def mail(notification: Notification, locale: Locale) -> RenderedMessage:
    return render(notification, Channel.EMAIL, order(locale))


def text(notification: Notification, locale: Locale) -> RenderedMessage:
    return render(notification, Channel.SMS, order(locale))


def words_of(page: str) -> str:
    """What a reader of the HTML sees, on one line."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())


@EVERY
def test_both_parts_of_a_mail_name_the_order_its_items_with_prices_and_the_total(
    notification: Notification, locale: Locale
) -> None:
    message = mail(notification, locale)
    assert message.to == EMAIL
    assert message.subject
    assert "\n" not in message.subject
    for part in (message.text, words_of(message.html)):
        assert str(ID) in part
        assert "Coffee <& cream>" in part
        for amount in (1250, 2500, 120950, 123450):
            assert format_money(amount, "USD", locale) in part
    assert message.subject in words_of(message.html)


@EVERY
@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", 1500), ("KWD", 1250), ("XOF", 1_000_000), ("EUR", 5), ("CLP", 990)]
)
def test_every_message_shows_an_amount_with_its_currency_s_digits(
    notification: Notification, locale: Locale, currency: str, total: int
) -> None:
    in_currency = replace(order(locale), currency=currency, total_amount=total)
    shown = format_money(total, currency, locale)
    by_mail = render(notification, Channel.EMAIL, in_currency)

    for part in (by_mail.text, words_of(by_mail.html), render(notification, Channel.SMS, in_currency).text):
        assert shown in part


@EVERY
def test_what_comes_from_the_catalogue_is_text_and_never_markup(
    notification: Notification, locale: Locale
) -> None:
    page = mail(notification, locale).html
    assert "Coffee &lt;&amp; cream&gt;" in page
    assert "<& cream>" not in page
    assert f'<html lang="{locale}">' in page


@EVERY
def test_a_text_message_is_one_message_of_plain_letters(notification: Notification, locale: Locale) -> None:
    largest = replace(order(locale), total_amount=10**10)
    message = render(notification, Channel.SMS, largest)
    assert message.to == PHONE
    assert str(ID) in message.text
    assert format_money(10**10, "USD", locale) in message.text
    assert len(message.text) <= ONE_TEXT_MESSAGE
    assert not [letter for letter in message.text if not letter.isascii() and letter not in GSM_LETTERS]
    assert (message.subject, message.html) == ("", "")


@EVERY
def test_nothing_tells_more_of_the_customer_than_is_needed(
    notification: Notification, locale: Locale
) -> None:
    message = mail(notification, locale)
    for part in (message.subject, message.text, message.html, text(notification, locale).text):
        assert EMAIL not in part
        assert PHONE not in part


def test_no_two_notifications_are_alike() -> None:
    messages = [mail(notification, locale) for notification in Notification for locale in Locale]
    assert len({message.subject for message in messages}) == len(messages)
    assert len({message.text for message in messages}) == len(messages)


@pytest.mark.parametrize("locale", list(Locale))
@pytest.mark.parametrize("notification", [Notification.ORDER_CANCELLED, Notification.PAYMENT_FAILED])
def test_an_order_that_failed_is_not_said_to_be_cancelled_because_it_may_need_review(
    notification: Notification, locale: Locale
) -> None:
    """The message is written before the order ends."""
    message = mail(notification, locale)
    said = " ".join((message.subject, message.text, message.html, text(notification, locale).text)).lower()
    assert "cancel" not in said


def test_an_order_without_a_telephone_has_no_text_message() -> None:
    with pytest.raises(UnexpectedEvent):
        render(Notification.ORDER_CONFIRMED, Channel.SMS, replace(order(Locale.EN), phone=None))


def test_a_template_that_uses_what_it_is_not_given_fails() -> None:
    broken = rendering._environment().from_string("Dear {{ customer }}")
    with pytest.raises(UndefinedError):
        broken.render(order=ID)


def test_contact_data_is_in_no_repr() -> None:
    shown = repr(order(Locale.EN))
    assert EMAIL not in shown
    assert PHONE not in shown
