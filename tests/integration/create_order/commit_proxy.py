"""A Postgres that loses the connection around COMMIT, as networks do."""

import contextlib
from collections.abc import Iterator
from typing import Self

from orders.db import Credentials
from tools.postgres_proxy import Disturbance, Loss, Moment, Observer, PostgresProxy


class CommitProxy(Observer):
    """Loses the connection at as many COMMITs as it is told to; passes on everything else."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._loss = Loss.BEFORE
        self._times = 0

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials) -> Iterator[Self]:
        commits = cls(server)
        with PostgresProxy.to(server, lambda pid: commits) as proxy:
            commits.credentials = proxy.credentials
            yield commits

    def lose_connection(self, loss: Loss, times: int = 1) -> None:
        self._loss, self._times = loss, times

    @property
    def losses_left(self) -> int:
        return self._times

    def request(self, data: bytes) -> Disturbance | None:
        if Moment.of(data) is not Moment.COMMIT or self._times == 0:
            return None
        self._times -= 1
        return Disturbance(self._loss)
