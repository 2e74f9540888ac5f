"""What every suite gets: a function's environment, and a real Postgres with a fresh database a test."""

import io
import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from orders.db import Credentials, Database
from orders.events import Queue
from tests.support import payments
from tests.support.logs import Logs
from tests.support.postgres import Server

if TYPE_CHECKING:
    from tests.infra.stacks import SynthesizedStack
    from tools.cloud.local_cloud import Sandbox

_QUEUE_URLS = json.dumps({queue: f"https://sqs.example/{queue}" for queue in Queue})

FUNCTION_ENVIRONMENT = {
    "STAGE": "test",
    "LOG_LEVEL": "INFO",
    "DATABASE_SECRET_ID": "orders-test-database",
    "ORDERS_PER_MINUTE": "10000",
    "CANCELLATION_WINDOW_MINUTES": "30",
    "USER_POOL_ID": "us-east-1_orders",
    "USER_POOL_CLIENT_ID": "orders-client",
    "POWERTOOLS_SERVICE_NAME": "orders",
    "POWERTOOLS_METRICS_NAMESPACE": "Orders",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:orders-test-order-saga",
    "REFUND_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:orders-test-order-refund",
    "CONTACT_RETENTION_DAYS": "90",
    "REDELIVERIES_PER_HOUR": "60",
    "LOG_GROUP_PREFIX": "/aws/lambda/orders-test-",
    "LOGGING_FUNCTIONS": '["create-order","notify"]',
    "QUEUE_URLS": _QUEUE_URLS,
    "DLQ_URLS": _QUEUE_URLS,
    "DLQ_URL": "https://sqs.example/dlq",
    **payments.ENVIRONMENT,
}
# Before any test module is imported: handlers read their settings when they are imported.
os.environ.update(FUNCTION_ENVIRONMENT)
# A run in a shell's background ignores it, and so would every process that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A developer's endpoint must not be where a test's calls go.
os.environ.pop("AWS_ENDPOINT_URL", None)

# The same examples in every run, nothing kept between runs, and no verdict on how busy the machine is.
settings.register_profile(
    "orders", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# For a search that takes its time: other examples in every run, and twenty times as many.
settings.register_profile("long", parent=settings.get_profile("orders"), derandomize=False, max_examples=2000)
settings.load_profile("orders")


_TOGETHER = {
    # They wait more than they work: for leases to end, and for processes.
    "tests/chaos/": "the cloud that tests break",
    "tests/e2e/test_interruption.py": "the cloud that tests break",
    "tests/e2e/test_kept_identity.py": "the cloud that tests break",
    "tests/e2e/test_killed_cloud.py": "the cloud that tests break",
    "tests/e2e/test_stripe.py": "a cloud with another payment provider",
    "tests/e2e/": "the cloud that tests share",
    "tests/infra/": "one synthesis of each stage",
    "tests/integration/relay/test_bindings.py": "one synthesis of each stage",
    "tests/integration/manage_catalogue/test_plans_at_volume.py": "a million orders",
    "tests/integration/operations/test_metrics_at_volume.py": "a million orders",
    "tests/integration/operations/test_plans_at_volume.py": "a million orders",
    "tests/integration/read_orders/test_plans_at_volume.py": "a million orders",
    "tests/integration/model/": "histories",
}
"""What shares a fixture that takes long to make, by the beginning of its path, the first that fits; every other
file is by itself."""
_FIRST = (
    "the cloud that tests share",
    "the cloud that tests break",
    "a cloud with another payment provider",
    "a million orders",
    "histories",
    "one synthesis of each stage",
)
"""What takes longest is begun first."""


def _group(node_id: str) -> str:
    file = node_id.partition("::")[0]
    return next((group for start, group in _TOGETHER.items() if file.startswith(start)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Any:
    """Gives a process a whole group at a time, so that the fixtures of a module or of a session are made once."""
    if config.getoption("dist") != "loadscope":
        return None
    # Not by xdist's marker for groups: it writes them where this version of pytest does not look.
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _group
    return scheduler


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        ranks = {group: rank for rank, group in enumerate(_FIRST)}
        items.sort(key=lambda item: ranks.get(_group(item.nodeid), len(ranks)))


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


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> "Callable[..., SynthesizedStack]":
    """Synthesizes a stage, with what a deploy chooses as context, once: it takes seconds."""
    # Here, since the CDK takes seconds too, and a process of Node's.
    from infra.stages import STAGES
    from tests.infra.stacks import SynthesizedStack

    def synthesize(stage: str, **context: str) -> SynthesizedStack:
        return SynthesizedStack(STAGES[stage], tmp_path_factory.mktemp(f"cdk.out.{stage}-"), **context)

    return cache(synthesize)


@pytest.fixture(scope="session")
def breakable_cloud() -> "Iterator[Sandbox]":
    """A local cloud that tests kill, break and throw away. Each test brings it up or down as it needs it, and leaves
    none that does not work; so it is synthesized once."""
    # Here, since only a few tests need the SDK and the CDK.
    from tools.cloud import local_cloud

    sandbox = local_cloud.new_sandbox("test-breakable")
    yield sandbox
    local_cloud.down(sandbox.settings, print)


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
