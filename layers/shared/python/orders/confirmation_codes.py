"""The codes that confirm a recipient's address. They are derived and never stored, as the secrets of webhooks are.

A code is made from one key in Secrets Manager, the recipient's id and a version that counts its codes. Whoever reads
the database, a queue or a log reads no code there.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final
from uuid import UUID

from orders import aws

DIGITS: Final = 6
ATTEMPTS: Final = 5
"""Of one code. With the limits on codes that makes some 25 guesses an hour at one address, of a million."""
MINUTES: Final = 10
"""How long a code is good."""


class ConfirmationCodes:
    """Makes codes. `key` gives the one that they are derived from; it is asked for with every code."""

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    @classmethod
    def from_secret(cls, secret_id: str) -> "ConfirmationCodes":
        """With the key that is the content of a secret, by name or ARN."""
        return cls(lambda: aws.read_key(secret_id))

    def code(self, recipient_id: UUID, version: int) -> str:
        """Six digits.

        Raises:
            ServiceUnavailable: try again.
        """
        message = f"recipient.{recipient_id}.{version}".encode()
        digest = hmac.digest(self._key().encode(), message, hashlib.sha256)
        return f"{int.from_bytes(digest) % 10**DIGITS:0{DIGITS}}"

    def is_right(self, code: str, recipient_id: UUID, version: int) -> bool:
        """Whether it is the recipient's code of this version; takes as long for any other.

        Raises:
            ServiceUnavailable: try again.
        """
        return hmac.compare_digest(code.encode(), self.code(recipient_id, version).encode())
