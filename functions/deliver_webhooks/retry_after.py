"""When a server wants to be asked again: the header `Retry-After` (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

BELIEVED_SECONDS: Final = 7 * 24 * 3600.0
"""Whoever names a time further away has made a mistake."""

_SECONDS: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
# The three forms of HTTP-date (section 5.6.7). The library's parser takes much else for a date.
_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
    re.ASCII,
)


def seconds_asked_for(header: str | None) -> float | None:
    """The seconds from now on that the header asks for; None if it is missing, is neither whole seconds nor a date, is
    not in the future, or is further away than `BELIEVED_SECONDS`."""
    asked = _seconds((header or "").strip())
    return asked if asked is not None and 0 < asked <= BELIEVED_SECONDS else None


def _seconds(value: str) -> float | None:
    if _SECONDS.fullmatch(value):
        return float(value)
    if not _DATE.fullmatch(value):
        return None
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    # The form without a zone is in GMT as well.
    return (at.replace(tzinfo=UTC) - datetime.now(UTC)) / timedelta(seconds=1)
