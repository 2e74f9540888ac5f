"""Identifiers that sort by time."""

import os
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_RFC_VARIANT = 0b10 << 62
_RANDOM_BITS = (0xFFF << 64) | (2**62 - 1)


def uuid7() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits.

    Made here and not by Postgres (`uuidv7()` needs 18) so that the id is known before the row is written; `uuid.uuid7`
    needs Python 3.14.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    return UUID(int=(milliseconds << 80) | _VERSION_7 | _RFC_VARIANT | random)
