"""A local cloud of the tests' own, deployed once: its home is apart from the developer's, and so is its port."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from tools.cloud import local_cloud
from tools.cloud.local_cloud import new_sandbox
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack
from tools.console import Console
from tools.demo.report import Report
from tools.demo.run import run_demo

TIMEOUT_SECONDS = 300
"""For one test together with the session's fixtures, which deploy and run the demonstration."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


@dataclass(frozen=True)
class Cloud:
    """The cloud under test."""

    settings: Settings
    environment: dict[str, str]
    """For commands that are to find it."""
    stack: Stack
    engine: Engine
    up_since: float
    """`time.monotonic()` when it was up, and its first relay started."""


@pytest.fixture(scope="session")
def running_cloud() -> Iterator[Cloud]:
    sandbox = new_sandbox("test")
    try:
        stack = local_cloud.up(sandbox.settings, print)
        engine = create_engine(stack["database_url"])
        yield Cloud(sandbox.settings, sandbox.environment, stack, engine, time.monotonic())
        engine.dispose()
    finally:
        local_cloud.down(sandbox.settings, print)


@pytest.fixture(scope="session")
def report(running_cloud: Cloud) -> Report:
    """The demonstration, run once for all tests that look at what came of it."""
    return run_demo(running_cloud.settings, running_cloud.stack, Console(file=StringIO()))
