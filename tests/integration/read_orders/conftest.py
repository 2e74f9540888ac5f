"""Readers of the API, on a fresh database."""

import pytest

from functions.read_orders import handler
from orders.db import Database
from tests.support.api import Client
from tests.support.factories import BOB


@pytest.fixture
def alice(database: Database, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A customer."""
    monkeypatch.setattr(handler, "database", database)
    return Client(handler.handler)


@pytest.fixture
def bob(alice: Client) -> Client:
    """Another customer."""
    return Client(alice.handler, user_id=BOB)


@pytest.fixture
def anyone(alice: Client) -> Client:
    """Somebody without a token: all that open routes know."""
    return Client(alice.handler, user_id=None)
