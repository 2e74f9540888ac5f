"""A request that stands right before its COMMIT, for as long as a test needs it there."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from sqlalchemy import Connection, event

from functions.create_order.place_order import OrderRequest, Placed, place_order
from orders.db import Credentials, Database
from tests.support.factories import rows

PATIENCE_SECONDS = 10


class ProcessDied(BaseException):
    """Ends a transaction from inside as the end of its process would: rolled back, and not tried again."""


@dataclass
class InFlight:
    answer: "Future[Placed]"
    _fate: Event = field(default_factory=Event)
    _dies: bool = False

    def commits(self) -> Placed:
        self._fate.set()
        return self.answer.result(PATIENCE_SECONDS)

    def dies(self) -> None:
        self._dies = True
        self._fate.set()
        error = self.answer.exception(PATIENCE_SECONDS)
        assert isinstance(error, ProcessDied)


@contextlib.contextmanager
def in_flight(credentials: Credentials, request: OrderRequest) -> Iterator[InFlight]:
    """The request, everything written and nothing committed. The test decides how it goes on."""
    database = Database(lambda: credentials)
    arrived = Event()

    with ThreadPoolExecutor(1) as process:

        @event.listens_for(database.engine, "commit")
        def wait(connection: Connection) -> None:
            arrived.set()
            assert flight._fate.wait(PATIENCE_SECONDS)
            if flight._dies:
                raise ProcessDied

        flight = InFlight(process.submit(place_order, database, request))
        try:
            assert arrived.wait(PATIENCE_SECONDS)
            yield flight
        finally:
            flight._fate.set()
    database.engine.dispose()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def waiting_for_a_lock(database: Database) -> int:
    """How many sessions of this database wait for another one."""
    (found,) = rows(
        database,
        "SELECT count(*) AS waiting FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    return int(found["waiting"])
