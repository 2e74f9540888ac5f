"""Faults that lie in wait on the wire for a process to say a certain thing."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from tools.chaos.plan import Fault, Moment
from tools.chaos.wire import Blow, Utterance


@dataclass(frozen=True)
class Trap:
    """One strike that waits for its victim."""

    fault: Fault
    handlers: Collection[str]
    moment: Moment
    blow: Callable[[Utterance], Blow]
    phrase: bytes = b""
    """What the utterance must contain."""

    def catches(self, utterance: Utterance) -> bool:
        return (
            utterance.moment is self.moment
            and utterance.handler in self.handlers
            and self.phrase in utterance.data
        )


class Traps:
    """All that are set. Each strikes once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: list[Trap] = []

    def set(self, trap: Trap) -> None:
        with self._lock:
            self._set.append(trap)

    def disarm(self) -> list[Trap]:
        """Takes all of them away; answers those that nobody has come to."""
        with self._lock:
            unsprung, self._set = self._set, []
        return unsprung

    @property
    def armed(self) -> int:
        return len(self._set)

    def ambush(self, utterance: Utterance) -> Blow | None:
        """The blow for an utterance that one of them was waiting for."""
        if not self._set:
            return None
        with self._lock:
            trap = next((trap for trap in self._set if trap.catches(utterance)), None)
            if trap is None:
                return None
            self._set.remove(trap)
        return trap.blow(utterance)
