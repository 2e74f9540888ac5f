"""Faults that wait for a process to send a certain message to Postgres, and the record of all that struck."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tools.chaos import function_processes
from tools.chaos.plan import Fault
from tools.postgres_proxy import Disturbance, Moment, Observer


@dataclass(frozen=True)
class ClientMessage:
    """What a process is about to send to Postgres."""

    pid: int
    handler: str
    """The function's handler, e.g. `functions.notify.handler.handler`; empty for any other process."""
    moment: Moment
    data: bytes


@dataclass(frozen=True)
class DatabaseFault:
    """One fault that waits for its victim."""

    fault: Fault
    handlers: Collection[str]
    moment: Moment
    disturb: Callable[[ClientMessage], Disturbance]
    text: bytes = b""
    """What the message must contain."""

    def is_for(self, message: ClientMessage) -> bool:
        return (
            message.moment is self.moment and message.handler in self.handlers and self.text in message.data
        )


class DatabaseFaults:
    """All that wait. Each strikes once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[DatabaseFault] = []

    def add(self, fault: DatabaseFault) -> None:
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """From here on none strikes."""
        with self._lock:
            self._waiting = []

    @property
    def waiting(self) -> int:
        """How many have not struck yet."""
        return len(self._waiting)

    def connected(self, pid: int) -> Observer:
        """The observer of a process's connection."""
        return _Victim(self, pid)

    def disturbance(self, message: ClientMessage) -> Disturbance | None:
        """The disturbance of a message that one of them was waiting for, which has struck with this."""
        if not self._waiting:
            return None
        with self._lock:
            fault = next((fault for fault in self._waiting if fault.is_for(message)), None)
            if fault is None:
                return None
            self._waiting.remove(fault)
        return fault.disturb(message)


class _Victim(Observer):
    """A process that some fault may be waiting for."""

    def __init__(self, faults: DatabaseFaults, pid: int) -> None:
        self._faults = faults
        self._pid = pid
        self._handler = function_processes.handler_of(pid)

    def request(self, data: bytes) -> Disturbance | None:
        moment = Moment.of(data)
        if moment is None:
            return None
        return self._faults.disturbance(ClientMessage(self._pid, self._handler, moment, data))


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
