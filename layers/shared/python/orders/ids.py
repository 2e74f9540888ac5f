"""Identifiers that sort by time."""

import os
import re
import threading
import time
from typing import Final
from uuid import UUID

LAST_ID: Final = UUID(int=2**128 - 1)
"""After every id."""

_VERSION_7 = 0x7 << 76
_RFC_VARIANT = 0b10 << 62
_RANDOM_BITS = (0xFFF << 64) | (2**62 - 1)
_one_at_a_time = threading.Lock()
_last = 0
_CANONICAL = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def uuid7() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits. Those that one process makes within a
    millisecond sort in the order in which they were made, too (section 6.2).

    Made here and not by Postgres (`uuidv7()` needs 18) so that the id is known before the row is written; `uuid.uuid7`
    needs Python 3.14.
    """
    global _last
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    made = (milliseconds << 80) | _VERSION_7 | _RFC_VARIANT | random
    with _one_at_a_time:
        if made <= _last and made >> 80 == _last >> 80:
            made = _last + 1
        _last = made
    return UUID(int=made)


def parse_uuid(candidate: str) -> UUID | None:
    """The UUID that is written in the 8-4-4-4-12 form, or None. Python itself also reads braces, URNs and no hyphens,
    which would give one order many addresses."""
    return UUID(candidate) if _CANONICAL.fullmatch(candidate) else None
