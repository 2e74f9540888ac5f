"""Stripe's provider over real HTTP, against localstripe and its front, with its own table in a real Postgres."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from functions.migrate.migrate import upgrade
from orders import aws
from orders.db import Credentials, Database
from orders.payments.gateway import Charge
from orders.payments.provider import PaymentProvider
from payment_stripe.api import Patience
from payment_stripe.gateway import StripeGateway
from payment_stripe.settings import StripeSettings
from tests.support.postgres import Server
from tools.stripe.server import API_KEY, StripeServer
from tools.waiting import wait_until

SECRET_ID = "orders-test-stripe-api-key"
PATIENCE = Patience(connect=1, read=1, total=9, wait=0.02)
LONG_PATIENCE = Patience(connect=2, read=20, total=60, wait=0.02)
CHARGE = Charge(1250, "USD", "pm_card_visa")


@pytest.fixture(scope="session")
def stripe_server() -> Iterator[StripeServer]:
    with StripeServer.running() as server:
        yield server


@dataclass
class Secret:
    """The secret that holds our API key."""

    value: str = API_KEY
    reads: list[bool] = field(default_factory=list)
    """Whether each was afresh."""
    read_before: str | None = None

    def read(self, secret_id: str, *, afresh: bool = False) -> str:
        assert secret_id == SECRET_ID
        self.reads.append(afresh)
        if afresh or self.read_before is None:
            self.read_before = self.value
        return self.read_before


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Secret:
    secret = Secret()
    monkeypatch.setattr(aws, "read_secret", secret.read)
    return secret


@dataclass
class Stripe:
    """Stripe as a person sees it who looks at its records."""

    server: StripeServer
    key: str
    """Of the payment that the test is about."""

    def get(self, path: str, **query: str) -> Any:
        response = httpx.get(
            f"{self.server.url}/v1/{path}", params=query, headers={"Authorization": f"Bearer {API_KEY}"}
        )
        response.raise_for_status()
        return response.json()

    def post(self, path: str, idempotency_key: str | None = None, /, **fields: str) -> Any:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        response = httpx.post(f"{self.server.url}/v1/{path}", data=fields, headers=headers)
        response.raise_for_status()
        return response.json()

    def intents(self) -> list[Any]:
        """The payment intents that were made for the key."""
        found = []
        after: dict[str, str] = {}
        while True:
            page = self.get("payment_intents", limit="100", **after)
            found += [intent for intent in page["data"] if intent["metadata"].get("key") == self.key]
            if not page["has_more"]:
                return found
            after = {"starting_after": page["data"][-1]["id"]}

    def charged(self) -> list[int]:
        """What was really charged for the key: an amount for each charge."""
        return [intent["amount_received"] for intent in self.intents() if intent["status"] == "succeeded"]

    def given_back(self) -> list[int]:
        """What was really refunded of the key's charges: an amount for each refund."""
        return [
            refund["amount"]
            for intent in self.intents()
            if intent["latest_charge"]
            for refund in self.get("refunds", payment_intent=intent["id"], limit="100")["data"]
        ]

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The requests for the key's intents whose path ends so."""
        ids = {intent["id"] for intent in self.intents()}
        return [
            request
            for request in self.server.requests()
            if request["path"].endswith(path)
            and (self.key in str(request["params"]) or any(id in request["path"] for id in ids))
        ]

    def await_request(self, pattern: str) -> None:
        """Waits until a request of the key is there whose method and path fit."""

        def is_there() -> bool:
            ids = [intent["id"] for intent in self.intents()]
            return any(
                re.search(pattern, f"{request['method']} {request['path']}")
                and (self.key in str(request["params"]) or any(id in request["path"] for id in ids))
                for request in self.server.requests()
            )

        assert wait_until(is_there, 20)


@pytest.fixture
def key() -> str:
    return f"order-{uuid4()}"


@pytest.fixture
def stripe(stripe_server: StripeServer, key: str) -> Iterator[Stripe]:
    yield Stripe(stripe_server, key)
    stripe_server.heal()


@pytest.fixture(scope="session")
def migrated(postgres_server: Server) -> Iterator[Credentials]:
    """A database with the table of Stripe's provider. Tests share it, each with keys of its own."""
    with postgres_server.fresh_database() as credentials:
        upgrade(credentials, provider=PaymentProvider.STRIPE)
        yield credentials


@pytest.fixture
def database(migrated: Credentials) -> Iterator[Database]:
    database = Database(lambda: migrated)
    yield database
    database.engine.dispose()


@pytest.fixture
def settings(stripe_server: StripeServer) -> StripeSettings:
    return StripeSettings(stripe_api_key_secret_id=SECRET_ID, stripe_api_base=stripe_server.url)


@pytest.fixture
def gateway(database: Database, settings: StripeSettings, secret: Secret) -> StripeGateway:
    return StripeGateway(database, settings, PATIENCE)


@pytest.fixture
def another_process(
    migrated: Credentials, settings: StripeSettings, secret: Secret
) -> Iterator[Callable[[], StripeGateway]]:
    """A gateway of another process, with a connection of its own and all the patience in the world."""
    databases: list[Database] = []

    def make() -> StripeGateway:
        databases.append(Database(lambda: migrated))
        return StripeGateway(databases[-1], settings, LONG_PATIENCE)

    yield make
    for database in databases:
        database.engine.dispose()
