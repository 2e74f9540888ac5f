"""Threads that run only when they are told to, one at a time, so that a test decides who is where when.

A strand stops at gates. Whoever told it to run waits until it stands at one, is over, or waits for a lock that another
strand holds, which is where it is left then. Nothing else is left to chance: the same orders make the same history.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

PATIENCE_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.005
"""How long a strand may be silent before somebody looks whether it waits for a lock."""

_here = threading.local()


class Killed(BaseException):
    """The end of a process, seen from inside. No `except Exception` holds it up."""


class Strand:
    """A thread of control. All but `park` is for whoever commands it."""

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        self.name = name
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_over = False
        self.is_blocked = False
        """It waits for a lock, and will stop by itself once it has it."""
        self.is_killed = False
        self.work = work
        self._message: Any = None
        self._woken = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @staticmethod
    def current() -> "Strand | None":
        """The strand that asks; None outside of any."""
        return getattr(_here, "strand", None)

    def park(self) -> Any:
        """Stands still until it is told to go on; answers what it is told.

        Raises:
            Killed: it will never go on.
        """
        self._stopped.release()
        self._woken.acquire()
        if self.is_killed:
            raise Killed
        return self._message

    def go_on(self, message: Any = None) -> None:
        """Lets it run until it stands still again, one way or another."""
        assert not self.is_over
        if not self.is_blocked:
            self._message = message
            self._woken.release()
        self.is_blocked = False
        self._wait()

    def kill(self) -> None:
        """Ends it where it stands."""
        assert not self.is_blocked, "what waits inside of Postgres cannot be told"
        self.is_killed = True
        self.go_on()
        assert self.is_over

    def look(self) -> None:
        """Takes notice of a strand that has its lock by now."""
        if self.is_blocked:
            self.is_blocked = False
            self._wait()

    def waits_for_a_lock(self) -> bool:
        """Whether it stands still inside of Postgres, because of another strand."""
        return False

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._stopped.acquire(timeout=_LOOK_SECONDS):
            if self.waits_for_a_lock():
                self.is_blocked = True
                return
            assert time.monotonic() < deadline, f"{self.name} neither stops nor waits"
        if self.is_over:
            self._thread.join()

    def _run(self) -> None:
        _here.strand = self
        self._woken.acquire()
        try:
            if not self.is_killed:
                self.result = self.work()
        except BaseException as error:
            self.error = error
        self.is_over = True
        self._stopped.release()
