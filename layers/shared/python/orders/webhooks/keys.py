"""The secrets that webhooks are signed with. They are derived and never stored.

An endpoint's secret is made from one key in Secrets Manager, the endpoint's id and a version that counts its rotations.
Whoever reads the database, or a copy of it, reads no secret there.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final
from uuid import UUID

from orders import aws

PREFIX: Final = "whsec_"


class SigningKeys:
    """Makes secrets. `key` gives the one that they are derived from; it is asked for with every secret."""

    def __init__(self, key: Callable[[], str]) -> None:
        self._key = key

    @classmethod
    def from_secret(cls, secret_id: str) -> "SigningKeys":
        """With the key that is the content of a secret, by name or ARN."""
        return cls(lambda: aws.read_key(secret_id))

    def secret(self, endpoint_id: UUID, version: int) -> str:
        """The endpoint's secret as its owner gets it: `whsec_` and 32 bytes in base64.

        Raises:
            ServiceUnavailable: try again.
        """
        message = f"webhook.{endpoint_id}.{version}".encode()
        digest = hmac.new(self._key().encode(), message, hashlib.sha256).digest()
        return PREFIX + base64.b64encode(digest).decode()
