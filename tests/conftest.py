"""What every suite gets: a function's environment, and a real Postgres with a fresh database a test."""

import io
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from orders.db import Credentials, Database
from tests.support import payments
from tests.support.logs import Logs
from tests.support.postgres import Server

FUNCTION_ENVIRONMENT = {
    "STAGE": "test",
    "LOG_LEVEL": "INFO",
    "DATABASE_SECRET_ID": "orders-test-database",
    "ORDERS_PER_MINUTE": "10000",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "POWERTOOLS_METRICS_NAMESPACE": "Orders",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    **payments.ENVIRONMENT,
}
# Before any test module is imported: handlers read their settings when they are imported.
os.environ.update(FUNCTION_ENVIRONMENT)
# A developer's endpoint must not be where a test's calls go.
os.environ.pop("AWS_ENDPOINT_URL", None)

# The same examples in every run, nothing kept between runs, and no verdict on how busy the machine is.
settings.register_profile(
    "orders", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# For a search that takes its time: other examples in every run, and twenty times as many.
settings.register_profile("long", parent=settings.get_profile("orders"), derandomize=False, max_examples=2000)
settings.load_profile("orders")


SHARED = ("running_cloud", "million_orders", "synthesize")
"""The fixtures that take longest to make: with pytest-xdist, all their tests run in one process."""
_FIRST = (
    "running_cloud",
    "test_small_run.py",
    "million_orders",
    "synthesize",
    "integration/model",
    "test_counts.py",
)
"""The groups that take longest, in the order in which processes take them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Divides the tests among processes, if there are several: by file, so that a module's fixtures are made once."""
    if not config.getoption("loadgroup", default=False):
        return
    rank: dict[str, int] = {}
    groups: dict[str, str] = {}
    for item in items:
        file = item.path.as_posix()
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else []
        group = next((name for name in SHARED if name in fixtures), file)
        item.add_marker(pytest.mark.xdist_group(group))
        groups[item.nodeid] = group
        rank[group] = next((rank for rank, part in enumerate(_FIRST) if part in group), len(_FIRST))
    items.sort(key=lambda item: rank[groups[item.nodeid]])


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts from the environment above, whatever an earlier one did to it."""
    for name, value in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One embedded Postgres for the whole run."""
    with Server.running() as server:
        yield server


@pytest.fixture
def credentials(postgres_server: Server) -> Iterator[Credentials]:
    """Credentials of a fresh, migrated, empty database."""
    with postgres_server.fresh_database() as credentials:
        yield credentials


@pytest.fixture
def database(credentials: Credentials) -> Iterator[Database]:
    """A `Database` on the fresh database, as a Lambda process has it."""
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Iterator[Logs]:
    """All that a function writes while the test runs: its structured log, its metrics, what libraries log."""
    # Here, since it reads the environment when it is imported.
    from orders.observability import logger

    stream = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    usual = handler.setStream(stream)
    with caplog.at_level(logging.DEBUG):
        yield Logs(stream, caplog, capsys)
    handler.setStream(usual or stream)
