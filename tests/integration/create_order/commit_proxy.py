"""A wire to Postgres that loses the connection around COMMIT, as networks do."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from orders.db import Credentials
from tools.chaos.plan import Loss, Moment
from tools.chaos.wire import Blow, Utterance, Wire


class CommitProxy:
    """Loses the connection at as many COMMITs as it is told to; passes on everything else."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._loss = Loss.BEFORE
        self._times = 0

    @classmethod
    @contextlib.contextmanager
    def to(cls, server: Credentials) -> Iterator[Self]:
        proxy = cls(server)
        with Wire.to(Path(server.host) / f".s.PGSQL.{server.port}", proxy._ambush) as wire:
            proxy.credentials = server.model_copy(update={"host": str(wire.directory)})
            yield proxy

    def lose_connection(self, loss: Loss, times: int = 1) -> None:
        self._loss, self._times = loss, times

    @property
    def losses_left(self) -> int:
        return self._times

    def _ambush(self, utterance: Utterance) -> Blow | None:
        if utterance.moment is not Moment.COMMIT or self._times == 0:
            return None
        self._times -= 1
        return Blow(self._loss, lambda: None, cuts=True)
