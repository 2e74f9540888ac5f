"""What is too large to be made for each test, and what no test may reach."""

from collections.abc import Iterator

import pytest

from orders.db import Credentials
from tests.support import plans, volume
from tests.support.consumers import FakeDeadLetterQueue
from tests.support.postgres import Server


@pytest.fixture(scope="session")
def million_orders(postgres_server: Server) -> Iterator[Credentials]:
    """The database of `tests.support.volume`, whose connections report their plans. Tests only read it."""
    with postgres_server.fresh_database() as credentials:
        volume.fill(credentials)
        for name, value in plans.SETTINGS.items():
            postgres_server.administer(f"ALTER DATABASE {credentials.dbname} SET {name} = '{value}'")
        yield credentials


@pytest.fixture(autouse=True)
def dead_letters(monkeypatch: pytest.MonkeyPatch) -> FakeDeadLetterQueue:
    """Where a consumer puts what is poison at the first look."""
    return FakeDeadLetterQueue.installed(monkeypatch)
