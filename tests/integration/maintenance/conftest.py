from collections.abc import Iterator

import pytest

from orders.db import Credentials, Database
from tests.integration.maintenance.support import StepFunctions


@pytest.fixture
def step_functions() -> Iterator[StepFunctions]:
    with StepFunctions.running() as step_functions:
        yield step_functions


@pytest.fixture
def other_process(credentials: Credentials) -> Iterator[Database]:
    """The database as another round of maintenance, or a saga's step, sees it at the same time."""
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()


@pytest.fixture
def observer(credentials: Credentials) -> Iterator[Database]:
    """A third connection, to watch the other two."""
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()
