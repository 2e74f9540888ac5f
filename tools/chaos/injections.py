"""The faults that were injected. One counts only when it demonstrably hit something."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tools.chaos.plan import Fault


@dataclass(frozen=True)
class Injection:
    """One fault that struck."""

    fault: Fault
    at: float
    """Seconds from the start of the run."""
    victim: str
    """What was hit, in words."""


class InjectionLog:
    """All of them, added by many threads."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._all: list[Injection] = []

    def add(self, fault: Fault, victim: str) -> None:
        with self._lock:
            self._all.append(Injection(fault, round(time.monotonic() - self._started, 2), victim))

    @property
    def all(self) -> tuple[Injection, ...]:
        with self._lock:
            return tuple(self._all)

    def counts(self) -> Mapping[Fault, int]:
        return Counter(injection.fault for injection in self.all)
