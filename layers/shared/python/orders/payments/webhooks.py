"""What a payment provider's webhook says once its signature is checked: where to look, and nothing that is believed.

A provider's package has a module `webhooks` with `verify`. Neither it nor this imports anything of the database: a
webhook is taken in also while there is none.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from orders.payments.provider import PaymentProvider

TOLERANCE_SECONDS: Final = 300
"""A signature that is older, or as far ahead, is refused. It is what Standard Webhooks and Stripe advise."""


@dataclass(frozen=True)
class ProviderEvent:
    """Something has happened at the provider."""

    event_id: str
    """The provider's own; it sends an event again under the same one."""
    type: str
    """In the provider's own words, for the log."""
    payment_id: str
    """The provider's own."""
    key: str | None
    """Ours (`provider_key`), if the event tells it."""


class InvalidSignature(Exception):
    """It was not signed with the secret, or not just now, or it is no event. Nobody is told which."""


class Verifier(Protocol):
    """What a provider's module `webhooks` has under the name `verify`."""

    def __call__(self, body: bytes, headers: Mapping[str, str], secret: str) -> ProviderEvent | None:
        """The event in `body`, whose bytes are as they came; None if it is of a type that nobody needs.

        `headers` have their names in lower case.

        Raises:
            InvalidSignature: nothing of it may be used.
        """
        ...


def verifier(provider: PaymentProvider) -> Verifier:
    """The provider's. Imports the provider's package, and nothing of the database."""
    verify: Verifier = importlib.import_module(f"{provider.package}.webhooks").verify
    return verify
