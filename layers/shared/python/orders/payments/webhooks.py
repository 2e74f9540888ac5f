"""What a payment provider's webhook says once its signature is checked: where to look, and nothing that is believed.

A provider's package has a module `webhooks` with `verify`. Neither it nor this imports anything of the database: a
webhook is taken in also while there is none.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Protocol
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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


_NAMESPACE: Final = UUID("7d0c2a52-6c1f-5d9e-9b57-3f1f0c8a4e11")
_Id = Annotated[str, Field(min_length=1, max_length=255)]


class ProviderMessage(BaseModel):
    """What the queue `payment-webhooks` carries: which payment the provider should be asked about.

    It is a hint, and no event of ours: whoever forges one makes us look at a payment, and see what is there.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )

    provider: PaymentProvider
    event_id: _Id
    type: _Id
    payment_id: _Id
    key: _Id | None
    correlation_id: _Id

    @property
    def id(self) -> UUID:
        """The same for every delivery of the event."""
        return uuid5(_NAMESPACE, f"{self.provider}:{self.event_id}")


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
