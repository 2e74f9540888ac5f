from collections.abc import Callable, Iterator

import pytest

from orders.db import Credentials, Database
from payment_simulator.gateway import SimulatedGateway
from tests.integration.saga.pipeline import Pipeline
from tests.support.payments import BEHAVIOUR
from tests.support.postgres import Server


@pytest.fixture(scope="module")
def shared_credentials(postgres_server: Server) -> Iterator[Credentials]:
    """One database for a module: its tests have orders and products of their own, as customers have."""
    with postgres_server.fresh_database() as credentials:
        yield credentials


@pytest.fixture
def process(shared_credentials: Credentials) -> Iterator[Callable[[], Database]]:
    """Makes the connection of one more Lambda process."""
    databases: list[Database] = []

    def make() -> Database:
        databases.append(Database(lambda: shared_credentials))
        return databases[-1]

    yield make
    for database in databases:
        database.engine.dispose()


@pytest.fixture
def pipeline(process: Callable[[], Database], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """The handlers on the module's database; the promises are checked, over all its orders, when the test is over."""
    database = process()
    pipeline = Pipeline(database, SimulatedGateway(database, BEHAVIOUR))
    pipeline.deploy(monkeypatch)
    yield pipeline
    assert pipeline.broken_promises() == []
