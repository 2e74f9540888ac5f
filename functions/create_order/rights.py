"""What not everybody may order, and not on every stage: high priority, and test payment methods."""

from typing import Final

from functions.create_order.models import PlaceOrder
from functions.create_order.settings import Settings
from orders.contract import ADMIN_GROUP, PRIORITY_GROUP
from orders.domain import Priority
from orders.errors import FieldError, InvalidOrder, PriorityNotAllowed
from orders.payments.provider import why_not_taken

URGENT_GROUPS: Final = frozenset({PRIORITY_GROUP, ADMIN_GROUP})
"""Their members may place urgent orders."""


def check(order: PlaceOrder, settings: Settings, *, may_be_urgent: bool) -> None:
    """Makes sure that the order asks for nothing that its customer, or this stage, has no right to.

    Raises:
        PriorityNotAllowed: it is urgent, and may not be.
        InvalidOrder: the stage's provider takes no such payment method.
    """
    if order.priority is Priority.HIGH and not may_be_urgent:
        detail = f"Only members of the group {PRIORITY_GROUP!r} may place urgent orders"
        raise PriorityNotAllowed(detail, (FieldError("#/priority", detail),))
    if mistake := why_not_taken(
        settings.payment_provider, order.payment_method, allow_test=settings.allow_test_payments
    ):
        raise InvalidOrder("Refused: #/paymentMethod", (FieldError("#/paymentMethod", mistake),))
