"""One run of the benchmarks: what the families share."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from uuid import UUID

import psutil

from orders.db import Credentials
from tools.bench import functions, volume
from tools.bench.database import BenchDatabase, BenchServer
from tools.bench.functions import Worker
from tools.bench.measured_cloud import MeasuredCloud
from tools.bench.report import Report
from tools.cloud.settings import Settings

SIZES: Final = (1_000, 100_000, 1_000_000)
"""Orders in the tables, at which what may grow is measured."""
SMALLEST: Final = SIZES[0]
LARGEST: Final = SIZES[-1]

_LOOK_SECONDS: Final = 2
_SQS_SECONDS: Final = 0.010
"""How long SQS takes for a call; the relay's budget holds for that."""


@dataclass(frozen=True)
class Stocked:
    """A database with a catalogue, and so many finished orders in it."""

    database: BenchDatabase
    orders: int
    products: list[UUID]

    @property
    def credentials(self) -> Credentials:
        return self.database.credentials


@dataclass
class Bench:
    """What a family needs to measure, and where it says what it found."""

    settings: Settings
    report: Report
    server: BenchServer
    aws_url: str
    """What functions call besides Postgres, when they run outside the local cloud."""
    _at_the_end: contextlib.ExitStack
    _stocked: dict[int, Stocked] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def running(cls, settings: Settings, report: Report) -> Iterator["Bench"]:
        with (
            BenchServer.running(settings) as server,
            _aws() as aws_url,
            contextlib.ExitStack() as at_the_end,
        ):
            _note_others(report, "at the start")
            yield cls(settings, report, server, aws_url, at_the_end)

    def stocked(self, orders: int) -> Stocked:
        """The database of this size, filled when it is first asked for."""
        if orders not in self._stocked:
            self.report.say(f"Filling a database with {orders:,} orders")
            database = self.server.create(f"with_{orders}_orders")
            products = volume.stock_up(database)
            volume.fill(database, orders)
            self._stocked[orders] = Stocked(database, orders, products)
        return self._stocked[orders]

    def worker(self, package: str, credentials: Credentials) -> contextlib.AbstractContextManager[Worker]:
        """A warm process of a function, on the database of the credentials."""
        return Worker.running(package, self.environment(package, credentials))

    def environment(self, package: str, credentials: Credentials) -> dict[str, str]:
        """A function's environment on the database of the credentials."""
        return functions.environment(self.settings, self.functions[package], credentials, self.aws_url)

    @cached_property
    def functions(self) -> dict[str, dict[str, str]]:
        """The packages that the local stage deploys, each with its variables."""
        return functions.deployed(self.settings)

    @cached_property
    def cloud(self) -> MeasuredCloud:
        """The local cloud, started when it is first asked for: nothing else is measured beside it after that."""
        _note_others(self.report, "before the local cloud")
        return self._at_the_end.enter_context(MeasuredCloud.running(self.settings, self.report.say))


@contextlib.contextmanager
def _aws() -> Iterator[str]:
    """An SQS that takes 10 ms, and a Secrets Manager, in a process of their own; yields their URL."""
    command = [sys.executable, "-m", "tools.aws_server", str(_SQS_SECONDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _note_others(report: Report, when: str) -> None:
    """Whoever else is busy on this machine is a reason for a missed budget."""
    report.add(f"CPU that others use, {when}", psutil.cpu_percent(_LOOK_SECONDS), "%")
