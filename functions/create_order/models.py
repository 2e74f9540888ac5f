"""The request and the response of `POST /orders`."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from orders.domain import Locale, OrderStatus, Priority
from orders.fields import Currency, Email, Phone
from orders.http import ApiModel, ApiRequest, ErrorMessage

MAX_LINES = 50
MAX_QUANTITY = 100
MAX_AMOUNT = 2**53 - 1
"""Minor units. Larger integers are not the same number to every reader of JSON (RFC 8259, section 6)."""

# JSON has no UUIDs or enums, so a strict model has to allow their strings.
ProductId = Annotated[UUID, Field(strict=False)]
PaymentMethod = Annotated[
    str,
    StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,60}$"),
    ErrorMessage("This must be a payment method's token, e.g. pm_card_visa"),
]


class OrderItem(ApiRequest):
    product_id: ProductId
    quantity: int = Field(ge=1, le=MAX_QUANTITY)


class Contact(ApiRequest):
    """How to reach the customer."""

    # Not in the model's `repr`, which finds its way into logs.
    email: Email = Field(repr=False, examples=["ada@example.com"])
    phone: Phone | None = Field(default=None, repr=False, description="E.164", examples=["+34600123456"])
    locale: Annotated[Locale, Field(strict=False)] = Locale.EN


class PlaceOrder(ApiRequest):
    """What a customer orders. Prices and totals are the server's."""

    items: list[OrderItem] = Field(min_length=1, max_length=MAX_LINES)
    currency: Currency = Field(description="ISO 4217; the products must be priced in it", examples=["USD"])
    payment_method: PaymentMethod = Field(
        repr=False,
        description="The payment provider's token. An unknown one is refused, with those that there are",
        examples=["pm_card_visa"],
    )
    contact: Contact
    priority: Annotated[Priority, Field(strict=False)] = Field(
        default=Priority.NORMAL,
        description="Under a backlog, urgent orders are started first. `high` is for members of the groups `priority` "
        "and `admin`",
    )
    expected_total_amount: int | None = Field(
        default=None,
        ge=1,
        le=MAX_AMOUNT,
        description="What the customer was told that the order costs, in minor units of `currency`. If it costs "
        "another amount now, it is not placed: the problem `price-changed` has the new `totalAmount`. An order that "
        "was placed under the same key is returned whatever is expected",
    )


class OrderAccepted(ApiModel):
    order_id: UUID
    status: OrderStatus
    total_amount: int = Field(description="Minor units of `currency`")
    currency: str
    created_at: datetime
