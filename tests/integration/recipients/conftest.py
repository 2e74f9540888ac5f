"""Customers who name recipients, on a fresh database."""

import os

import pytest

from orders.confirmation_codes import ConfirmationCodes
from orders.db import Database
from tests.support.api import Client
from tests.support.factories import BOB

# Before the import below: a handler reads its settings when it is imported.
os.environ["CODE_KEY_ID"] = "orders-test-code-key"
os.environ["CODE_LIMITS"] = '{"recipient": 5, "user": 8, "stage": 12}'

from functions.recipients import handler


@pytest.fixture
def codes() -> ConfirmationCodes:
    return ConfirmationCodes(lambda: "the key of all confirmation codes, in tests")


@pytest.fixture
def alice(database: Database, codes: ConfirmationCodes, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A customer."""
    monkeypatch.setattr(handler, "database", database)
    monkeypatch.setattr(handler, "codes", codes)
    return Client(handler.handler)


@pytest.fixture
def bob(alice: Client) -> Client:
    """Another customer."""
    return Client(alice.handler, user_id=BOB)
