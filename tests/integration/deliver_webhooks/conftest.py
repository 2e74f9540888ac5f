from uuid import UUID

import pytest

from orders.db import Database
from tests.integration.deliver_webhooks.world import World
from tests.support.webhooks import add_endpoint


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def endpoint_id(database: Database) -> UUID:
    """The customer's one webhook."""
    found: UUID = add_endpoint(database)
    return found
