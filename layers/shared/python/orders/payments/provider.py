"""The payment providers that there are, and the one place that knows where their code is.

The code of a provider is a package of its own, `payment_<provider>` in `layers/payment_<provider>`. It is shipped to a
stage that chooses the provider, and to no other. The package has a module `gateway` with
`connect(database) -> PaymentGateway`, and a folder `migrations` if the provider keeps tables in our database.
"""

import importlib
from enum import StrEnum
from pathlib import Path

from orders.db import Database
from orders.payments.gateway import PaymentGateway


class PaymentProvider(StrEnum):
    SIMULATOR = "simulator"

    @property
    def package(self) -> str:
        """The name of the provider's top-level package."""
        return f"payment_{self}"


def connect(provider: PaymentProvider, database: Database) -> PaymentGateway:
    """The provider's gateway, with its own settings from the environment. Imports the provider's package.

    Raises:
        pydantic.ValidationError: a setting of the provider is missing or malformed; the message names it.
    """
    gateway: PaymentGateway = importlib.import_module(f"{provider.package}.gateway").connect(database)
    return gateway


def migrations(provider: PaymentProvider) -> Path | None:
    """The folder of the migrations of the provider's own tables; None if it has no tables here."""
    folder = Path(importlib.import_module(provider.package).__path__[0]) / "migrations"
    return folder if folder.is_dir() else None
