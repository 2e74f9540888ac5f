"""Fields that more than one function's requests have: what they may hold, and what is said of anything else."""

from typing import Annotated, Final

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import StringConstraints

from orders.http import ErrorMessage

MAX_TEXT: Final = 200

IdempotencyKey = Annotated[
    str,
    StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
    ErrorMessage("This must be 1 to 255 visible ASCII characters"),
    Header(alias="Idempotency-Key"),
]
Currency = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z]{3}$"),
    ErrorMessage("This must be a currency code of three capital letters (ISO 4217), e.g. USD"),
]
Email = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,189}\.[A-Za-z]{2,63}$"),
    ErrorMessage("This must be an e-mail address"),
]
Phone = Annotated[
    str,
    StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$"),
    ErrorMessage("This must be a telephone number in E.164 form, e.g. +34600123456"),
]
# Postgres takes no NUL, and no list of products should break at a line's end.
Text = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0," + str(MAX_TEXT - 2) + r"}[^\s\x00-\x1f\x7f])?$"
    ),
    ErrorMessage(f"This must be 1 to {MAX_TEXT} characters in one line, with no space at either end"),
]
