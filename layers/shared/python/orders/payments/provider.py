"""The payment providers that there are, and the one place that knows where their code is.

The code of a provider is a package of its own, `payment_<provider>` in `layers/payment_<provider>`. It is shipped to a
stage that chooses the provider, and to no other. The package has a module `gateway` with
`connect(database) -> PaymentGateway`, a module `webhooks` with `verify` (see `orders.payments.webhooks`), a module
`methods` with `METHODS` if the provider takes a closed list of payment methods, and a folder `migrations` if it keeps
tables in our database.
"""

import importlib
import importlib.util
import re
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orders.payments.gateway import PaymentGateway

if TYPE_CHECKING:
    from orders.db import Database

_TEST_METHOD: Final = re.compile(r"pm_card_\w*|pm_simulated")
"""Those of the simulator and their kind: nobody's money."""


class PaymentProvider(StrEnum):
    SIMULATOR = "simulator"
    STRIPE = "stripe"

    @property
    def package(self) -> str:
        """The name of the provider's top-level package."""
        return f"payment_{self}"


def connect(provider: PaymentProvider, database: "Database") -> PaymentGateway:
    """The provider's gateway, with its own settings from the environment. Imports the provider's package.

    Raises:
        pydantic.ValidationError: a setting of the provider is missing or malformed; the message names it.
    """
    gateway: PaymentGateway = importlib.import_module(f"{provider.package}.gateway").connect(database)
    return gateway


def methods(provider: PaymentProvider) -> tuple[str, ...] | None:
    """The payment methods that the provider takes; None if only the provider itself knows them. Imports next to
    nothing of its package."""
    return _methods(provider.package)


@cache
def _methods(package: str) -> tuple[str, ...] | None:
    name = f"{package}.methods"
    if importlib.util.find_spec(name) is None:
        return None
    known: tuple[str, ...] = importlib.import_module(name).METHODS
    return known


def why_not_taken(provider: PaymentProvider, method: str, *, allow_test: bool) -> str | None:
    """What is wrong with a payment method, as far as it is known before the provider is asked; None if nothing is.

    `allow_test`: test methods will do of a provider that takes real ones.
    """
    known = methods(provider)
    if known is None:
        is_refused = _TEST_METHOD.fullmatch(method) and not allow_test
        return "This is a test method, and this takes real ones" if is_refused else None
    return None if method in known else f"This must be one of {', '.join(known)}"


def migrations(provider: PaymentProvider) -> Path | None:
    """The folder of the migrations of the provider's own tables; None if it has no tables here."""
    folder = Path(importlib.import_module(provider.package).__path__[0]) / "migrations"
    return folder if folder.is_dir() else None
