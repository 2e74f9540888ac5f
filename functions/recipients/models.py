"""The requests and the responses of the recipient routes."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, ValidationInfo, field_validator

from orders.confirmation_codes import ATTEMPTS, DIGITS, MINUTES
from orders.domain import Channel, Locale
from orders.fields import Email, Phone
from orders.http import ApiModel, ApiRequest, ErrorMessage, invalid_value

_MAX_ADDRESS: Final = 320
_KINDS: Final[dict[Channel, TypeAdapter[str]]] = {
    Channel.EMAIL: TypeAdapter(Email),
    Channel.SMS: TypeAdapter(Phone),
}

Code = Annotated[
    str,
    StringConstraints(pattern=f"^[0-9]{{{DIGITS}}}$"),
    ErrorMessage(f"This must be the {DIGITS} digits of the code"),
]


class AddRecipient(ApiRequest):
    """Where messages may go, once the code that is sent there has come back."""

    channel: Annotated[Channel, Field(strict=False)]
    address: str = Field(
        repr=False,
        max_length=_MAX_ADDRESS,
        description="An e-mail address, or a telephone number in E.164 form, as the channel says",
        examples=["ada@example.com"],
    )
    locale: Annotated[Locale, Field(strict=False)] = Field(
        default=Locale.EN, description="The language of the message with the code"
    )

    @field_validator("address")
    @classmethod
    def _fits_the_channel(cls, address: str, others: ValidationInfo) -> str:
        kind = _KINDS.get(others.data.get("channel"))  # type: ignore[arg-type]  # None if the channel is wrong itself
        if kind:
            try:
                kind.validate_python(address)
            except ValidationError as error:
                raise invalid_value(error.errors()[0]["msg"]) from None
        # Capital letters make no other mailbox.
        return address.lower()


class ConfirmRecipient(ApiRequest):
    code: Code = Field(repr=False, description=f"The {DIGITS} digits that were sent", examples=["123456"])


class Recipient(ApiModel):
    """An address that the caller wants messages to go to."""

    recipient_id: UUID
    channel: Channel
    address: str = Field(examples=["ada@example.com"])
    confirmed_at: datetime | None = Field(description="Since when messages may go there; null: not yet")
    code_expires_at: datetime | None = Field(
        description=f"Until when the last code confirms it: {MINUTES} minutes, and {ATTEMPTS} attempts at most"
    )
    created_at: datetime


class RecipientList(ApiModel):
    """All of the caller's recipients, oldest first."""

    items: list[Recipient]
    next_cursor: None = None
