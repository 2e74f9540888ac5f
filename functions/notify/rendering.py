"""What customers read: a mail in HTML and in plain text, or a text message, in their language.

The words stand in `templates/<language>/<notification>.jinja`; three layouts lay them out.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from orders.domain import Channel, Locale, Notification
from orders.errors import UnexpectedEvent
from orders.money import format_money

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Line:
    """One product of an order. `unit_price` is in minor units of the order's currency."""

    name: str
    quantity: int
    unit_price: int


@dataclass(frozen=True)
class Order:
    """What to tell about, and whom, as the database has it: an order, or a refund with its own lines and amount.
    `total_amount` is in minor units of `currency`."""

    order_id: UUID
    email: str = field(repr=False)
    phone: str | None = field(repr=False)
    locale: Locale
    lines: tuple[Line, ...]
    total_amount: int
    currency: str
    refund_id: UUID | None = None
    """What a customer tells an order's refunds apart by."""


@dataclass(frozen=True)
class RenderedMessage:
    """What is sent: to an e-mail address with all parts, to a telephone number with the text alone."""

    to: str = field(repr=False)
    text: str = field(repr=False)
    subject: str = ""
    html: str = field(default="", repr=False)


def render(notification: Notification, channel: Channel, order: Order) -> RenderedMessage:
    """The notification for the channel, in the order's language.

    Raises:
        UnexpectedEvent: the order has no telephone number.
        jinja2.TemplateError: a template is missing, broken, or uses what it is not given.
    """
    match channel:
        case Channel.EMAIL:
            # The text begins with the subject, as a letter does.
            subject, _, body = _fill("mail.txt", notification, order).partition("\n")
            return RenderedMessage(
                order.email, body.lstrip("\n"), subject, _fill("mail.html", notification, order)
            )
        case Channel.SMS if order.phone:
            return RenderedMessage(order.phone, _fill("sms.txt", notification, order))
        case Channel.SMS:
            raise UnexpectedEvent("the order has no telephone number")


def render_code(channel: Channel, address: str, locale: Locale, code: str) -> RenderedMessage:
    """The message that brings a confirmation code.

    Raises:
        jinja2.TemplateError: as for `render`.
    """

    def fill(template: str) -> str:
        words = f"{locale}/code.jinja"
        return _environment().get_template(template).render(words=words, locale=locale, code=code)

    match channel:
        case Channel.EMAIL:
            subject, _, body = fill("code.txt").partition("\n")
            return RenderedMessage(address, body.lstrip("\n"), subject, fill("code.html"))
        case Channel.SMS:
            return RenderedMessage(address, fill("code_sms.txt"))


def _fill(template: str, notification: Notification, order: Order) -> str:
    return _environment().get_template(template).render(_context(notification, order))


def _context(notification: Notification, order: Order) -> Mapping[str, Any]:
    def money(minor_units: int) -> str:
        return format_money(minor_units, order.currency, order.locale)

    return {
        "words": f"{order.locale}/{notification}.jinja",
        "labels": f"{order.locale}/labels.jinja",
        "locale": order.locale,
        "order": order.order_id,
        "refund": order.refund_id,
        "total": money(order.total_amount),
        "lines": [
            {
                "name": line.name,
                "quantity": line.quantity,
                "price": money(line.unit_price),
                "amount": money(line.quantity * line.unit_price),
            }
            for line in order.lines
        ],
    }


@functools.cache
def _environment() -> "Environment":
    """Jinja2 is imported here because an import of the function has no need of it, and a cold start has to wait."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
