"""Customers who register webhooks, on a fresh database."""

import os

import pytest

from orders.db import Database
from orders.webhooks.keys import SigningKeys
from tests.support.api import Client
from tests.support.factories import BOB
from tests.support.webhooks import KEY, PUBLIC_ADDRESS, FakeResolver

# Before the import below: a handler reads its settings when it is imported.
os.environ["WEBHOOK_KEY_ID"] = "orders-test-webhook-key"
os.environ["REDELIVERIES_PER_HOUR"] = "3"

from functions.webhooks import endpoints, handler


@pytest.fixture
def keys() -> SigningKeys:
    return SigningKeys(lambda: KEY)


@pytest.fixture
def resolver() -> FakeResolver:
    """It knows one customer's server; a test may tell it of others."""
    return FakeResolver.of({"shop.example.com": [PUBLIC_ADDRESS]})


@pytest.fixture
def alice(
    database: Database, keys: SigningKeys, resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch
) -> Client:
    """A customer."""
    # How long a refusal takes is a test of its own.
    monkeypatch.setattr(endpoints, "RESOLVE_SECONDS", 0.0)
    monkeypatch.setattr(handler, "database", database)
    monkeypatch.setattr(handler, "keys", keys)
    monkeypatch.setattr(handler, "registrar", endpoints.Registrar(keys, resolver, allow_loopback=False))
    return Client(handler.handler)


@pytest.fixture
def bob(alice: Client) -> Client:
    """Another customer."""
    return Client(alice.handler, user_id=BOB)
