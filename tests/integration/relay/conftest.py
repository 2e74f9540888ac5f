from collections.abc import Iterator

import pytest

from orders.db import Database
from tests.integration.relay.outbox_setup import Relays, connect
from tools.aws_server import SqsServer


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[SqsServer]:
    with SqsServer().serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def relays(database: Database, sqs: SqsServer) -> Relays:
    return Relays(database, connect(sqs))
