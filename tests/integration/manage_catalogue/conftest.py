"""Administrators of the catalogue, on a fresh database, and a product that they have made."""

from typing import Any
from uuid import uuid4

import pytest

from functions.manage_catalogue import handler
from orders.db import Database
from tests.integration.manage_catalogue.catalogue_api import PRODUCTS, Product
from tests.support.api import Client

ADMIN = "admin-19c2"
COFFEE = {"name": "Coffee beans", "unitPrice": 1250, "currency": "USD", "stock": 10}


@pytest.fixture
def admin(database: Database, monkeypatch: pytest.MonkeyPatch) -> Client:
    """An administrator."""
    monkeypatch.setattr(handler, "database", database)
    return Client(handler.handler, user_id=ADMIN, groups="[admin]")


@pytest.fixture
def other_admin(admin: Client) -> Client:
    """Another one."""
    return Client(admin.handler, user_id="admin-77aa", groups="[admin]")


@pytest.fixture
def coffee(admin: Client) -> Product:
    """Ten bags of it, on sale."""
    made: dict[str, Any] = admin.post(PRODUCTS, COFFEE, {"Idempotency-Key": uuid4().hex}).json
    return Product(admin, made["productId"])
