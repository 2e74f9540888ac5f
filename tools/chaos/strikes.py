"""What has been hit: a strike counts only when it demonstrably hit something."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tools.chaos.plan import Fault


@dataclass(frozen=True)
class Strike:
    """One hit."""

    fault: Fault
    at: float
    """Seconds from the start of the run."""
    victim: str
    """What was hit, in words."""


class Strikes:
    """The list of hits, kept by many threads."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._all: list[Strike] = []

    def add(self, fault: Fault, victim: str) -> None:
        with self._lock:
            self._all.append(Strike(fault, round(time.monotonic() - self._started, 2), victim))

    @property
    def all(self) -> tuple[Strike, ...]:
        with self._lock:
            return tuple(self._all)

    def counts(self) -> Mapping[Fault, int]:
        return Counter(strike.fault for strike in self.all)
