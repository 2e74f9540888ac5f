"""Clients of `POST /orders`, on a fresh database."""

import pytest

from functions.create_order import handler
from orders.db import Database
from tests.support.api import Client
from tests.support.factories import BOB, Product, add_product


@pytest.fixture
def product(database: Database) -> Product:
    return add_product(database)


@pytest.fixture
def alice(database: Database, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A customer."""
    monkeypatch.setattr(handler, "database", database)
    return Client(handler.handler)


@pytest.fixture
def bob(alice: Client) -> Client:
    """Another customer of the same function."""
    return Client(alice.handler, user_id=BOB)
