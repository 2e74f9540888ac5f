from uuid import UUID

import pytest

from orders.db import Database
from tests.integration.deliver_webhooks.webhook_setup import WebhookSetup
from tests.support.webhooks import add_endpoint


@pytest.fixture
def setup(database: Database) -> WebhookSetup:
    return WebhookSetup(database)


@pytest.fixture
def endpoint_id(database: Database) -> UUID:
    """The customer's one webhook."""
    found: UUID = add_endpoint(database)
    return found
