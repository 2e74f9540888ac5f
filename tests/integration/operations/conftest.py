from collections.abc import Iterator

import pytest

from orders.db import Database
from tests.integration.operations.support import Aws, Operations


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws.running() as aws:
        yield aws


@pytest.fixture
def operations(database: Database, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Operations:
    return Operations.deployed(database, aws, monkeypatch)
