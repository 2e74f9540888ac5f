"""The mails, in plain text: one for each notification and language."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from functions.notify.money import format_money
from orders.domain import Locale, Notification


@dataclass(frozen=True)
class Recipient:
    """Whom to tell about which order, as the database has it. `total_amount` is in minor units of `currency`."""

    order_id: UUID
    email: str
    locale: Locale
    total_amount: int
    currency: str


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str
    body: str


@dataclass(frozen=True)
class _Template:
    """`{order}` and `{total}` are filled in."""

    subject: str
    body: str


_TEMPLATES: Final[Mapping[tuple[Notification, Locale], _Template]] = {
    (Notification.ORDER_CONFIRMED, Locale.EN): _Template(
        "Your order is confirmed",
        "Thank you for your order.\n\n"
        "Order: {order}\n"
        "Total: {total}\n\n"
        "Your payment was received and your items are set aside for you.\n",
    ),
    (Notification.ORDER_CONFIRMED, Locale.ES): _Template(
        "Tu pedido está confirmado",
        "Gracias por tu pedido.\n\n"
        "Pedido: {order}\n"
        "Total: {total}\n\n"
        "Hemos recibido el pago y tus artículos están apartados.\n",
    ),
    (Notification.ORDER_CANCELLED, Locale.EN): _Template(
        "Your order was cancelled",
        "We are sorry: we could not complete your order, and it was cancelled.\n\n"
        "Order: {order}\n"
        "Total: {total}\n\n"
        "If you were charged, the full amount is returned to you.\n",
    ),
    (Notification.ORDER_CANCELLED, Locale.ES): _Template(
        "Tu pedido se ha cancelado",
        "Lo sentimos: no hemos podido completar tu pedido y se ha cancelado.\n\n"
        "Pedido: {order}\n"
        "Total: {total}\n\n"
        "Si se te hizo algún cargo, te devolvemos el importe íntegro.\n",
    ),
    (Notification.PAYMENT_FAILED, Locale.EN): _Template(
        "Your payment did not go through",
        "Your payment could not be completed, so your order was cancelled.\n\n"
        "Order: {order}\n"
        "Total: {total}\n\n"
        "If you were charged, the full amount is returned to you. You can order again with another payment method.\n",
    ),
    (Notification.PAYMENT_FAILED, Locale.ES): _Template(
        "No se ha podido realizar el pago",
        "No se ha podido completar el pago, así que tu pedido se ha cancelado.\n\n"
        "Pedido: {order}\n"
        "Total: {total}\n\n"
        "Si se te hizo algún cargo, te devolvemos el importe íntegro. Puedes volver a pedir con otro método de pago.\n",
    ),
}


def render(notification: Notification, recipient: Recipient) -> Mail:
    """The mail in the recipient's language."""
    template = _TEMPLATES[notification, recipient.locale]
    total = format_money(recipient.total_amount, recipient.currency, recipient.locale)
    return Mail(
        recipient.email, template.subject, template.body.format(order=recipient.order_id, total=total)
    )
