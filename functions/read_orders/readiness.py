"""Whether an order could be taken now. Anybody may ask, so the database is asked seldom."""

import time
from collections.abc import Callable
from typing import Final

from functions.read_orders.queries import ask_database
from orders.db import Database
from orders.errors import DatabaseUnavailable

READY_SECONDS: Final = 3
"""How old the answer may be, a good one and a bad one: a database that is down is not asked more often either."""


class Readiness:
    """What one process knows of its database."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._database: Database | None = None
        self._failure: DatabaseUnavailable | None = None
        self._good_until = 0.0

    def check(self, database: Database) -> None:
        """Asks the database for a sign of life, unless it was asked just now.

        Raises:
            DatabaseUnavailable: there was none.
        """
        if database is not self._database or self._clock() >= self._good_until:
            self._failure = None
            try:
                ask_database(database)
            except DatabaseUnavailable as failure:
                self._failure = failure
            self._database, self._good_until = database, self._clock() + READY_SECONDS
        if self._failure:
            raise DatabaseUnavailable(*self._failure.args)
