"""Fields that more than one function's requests have: what they may hold, and what is said of anything else."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from orders.addresses import MAX_ADDRESS, deliverable_address
from orders.http import ErrorMessage, invalid_value
from orders.money import CURRENCIES

MAX_TEXT: Final = 200

_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _email(address: str) -> str:
    try:
        return deliverable_address(address)
    except ValueError as error:
        raise invalid_value(f"This must be an address that mail can be sent to. {error}") from None


class _Unsaid(str):
    """Text that no representation of what holds it shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _rfc_3339(moment: object) -> object:
    """Raises ValueError. Pydantic alone would also take numbers, dates, and times without a zone."""
    if isinstance(moment, str) and not _RFC_3339.fullmatch(moment):
        raise ValueError
    return moment


def _in_utc(moment: datetime) -> datetime:
    """Raises ValueError for a moment of year 0 or 10000, which a zone makes possible."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError from None


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise invalid_value("This must be the code of a currency in circulation (ISO 4217), e.g. USD")
    return code


# The classes of a regular expression, in the notation that Python's and ECMAScript's have in common.
_NOT_IN_A_LINE: Final = {
    "a control character": r"\u0000-\u001f\u007f-\u009f",
    "a line or paragraph separator": r"\u2028\u2029",
    # Bidi_Control (UAX #9). Text is laid out by its letters; these can show it in another order than it is stored in.
    "a character that changes the direction of text": r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069",
    # Default_Ignorable_Code_Point (UAX #44), without joiners and variation selectors.
    "a character that shows nothing": r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b\u2060-\u2065"
    r"\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb",
    "a code point that is no character": r"\ufdd0-\ufdef\ufffe\uffff",
    # They mean something between two who agreed on it.
    "a private-use character": r"\ue000-\uf8ff",
}
_NOT_IN_A_LINE_BEYOND_FFFF: Final = {
    "a character that shows nothing": r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    r"\U000e01f0-\U000e0fff",
    "a code point that is no character": "".join(
        rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(1, 15)
    ),
    "a private-use character": r"\U000f0000-\U0010ffff",
}
_REFUSED: Final = {
    reason: f"[{characters}{_NOT_IN_A_LINE_BEYOND_FFFF.get(reason, '')}]"
    for reason, characters in _NOT_IN_A_LINE.items()
}
# The flags of England, Scotland and Wales are the only ones that are spelt in characters that show nothing (UTS #51).
_SPELT_FLAG: Final = "\U0001f3f4[\U000e0061-\U000e007a]{5}\U000e007f"
_BLANKS: Final = r"\s\u2800"
_JOINERS: Final = r"\u200c\u200d"
_VARIANTS: Final = r"\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_UNATTACHED: Final = rf"(?:\A|[{_BLANKS}{_JOINERS}])[{_JOINERS}{_VARIANTS}]|[{_VARIANTS}]{{2}}"
"""A joiner (Persian, Indic scripts, emoji) or variation selector that follows no character which it could belong to."""


@dataclass(frozen=True)
class OneLine:
    """Annotates a string that others read in one line, in any language: a name, a note, a description.

    It shows something, and what it shows is all that there is in it (ADR 0031). It is kept in Unicode's form NFC, in
    which equal text is equal. Code points without a character yet are accepted: an emoji of next year is no mistake.
    """

    max_length: int
    """In code points."""

    def __call__(self, text: str) -> str:
        """The text in NFC.

        Raises:
            PydanticCustomError: it is not such a text; the message says why.
        """
        if text.isascii() and text.isprintable():
            normal = text
        else:
            normal = unicodedata.normalize("NFC", text)
            unspelt = re.sub(_SPELT_FLAG, "", normal)
            for reason, characters in _REFUSED.items():
                if found := re.search(characters, unspelt):
                    raise invalid_value(f"This must not contain {reason}: U+{ord(found[0]):04X}")
            if found := re.search(_UNATTACHED, normal):
                raise invalid_value(
                    f"This has U+{ord(found[0][-1]):04X} where no character is that it could change"
                )
        if not 1 <= len(normal) <= self.max_length:
            raise invalid_value(f"This must be 1 to {self.max_length} characters")
        if re.match(f"[{_BLANKS}]", normal) or re.search(rf"[{_BLANKS}]\Z", normal):
            raise invalid_value("This must not begin or end with a space")
        return normal

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        refused = "".join(_NOT_IN_A_LINE.values())
        return {
            **handler(schema),
            "minLength": 1,
            "maxLength": self.max_length,
            "pattern": f"^[^{refused}]*$",
        }


_KEY_FORM: Final = (
    StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
    ErrorMessage("This must be 1 to 255 visible ASCII characters"),
)
_KEY: Final = (
    *_KEY_FORM,
    Header(
        alias="Idempotency-Key",
        description="Stands for this request: sent again with the same key and body, it takes effect once and gets the "
        "same response. Take a new one, e.g. a UUID, for everything new; with another body it is refused.",
        examples=["5f0e3b5c-8d1c-4b7e-9a57-2f1d0c3b4a69"],
    ),
)
IdempotencyKey = Annotated[str, *_KEY]
OptionalIdempotencyKey = Annotated[str | None, *_KEY]
"""For requests that could always be sent without one."""
KeyText = Annotated[str, *_KEY_FORM]
"""An idempotency key that is no header."""
Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
    ErrorMessage("This must be a UUID"),
]
"""A UUID in the one form in which `orders.ids.parse_uuid` reads it, too."""
CorrelationId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._-]{8,64}$"),
    ErrorMessage("This must be 8 to 64 characters of A-Z, a-z, 0-9, `.`, `_` and `-`"),
]
Moment = Annotated[
    datetime,
    BeforeValidator(_rfc_3339),
    AfterValidator(_in_utc),
    ErrorMessage("This must be a time with its zone (RFC 3339), e.g. 2026-11-24T10:15:30Z"),
]
Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": sorted(CURRENCIES)})
]
Email = Annotated[
    str,
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 6, "maxLength": MAX_ADDRESS}),
]
Phone = Annotated[
    str,
    StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"),
    ErrorMessage("This must be a telephone number in E.164 form, e.g. +34600123456"),
]
SoughtEmail = Annotated[Email, AfterValidator(_Unsaid)]
SoughtPhone = Annotated[Phone, AfterValidator(_Unsaid)]
"""Personal data in a parameter: libraries log the parameters of a route, if only when they are debugged."""
Text = Annotated[str, OneLine(MAX_TEXT)]
