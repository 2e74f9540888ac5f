import queue
import socketserver
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tools.cloud import emulator_process
from tools.cloud.emulator_process import PatientQueue, PatientServer, Turns

LIMIT = 2


class Machine:
    """Has so many slots, as the emulator has; the function `reserved` may have none of them."""

    def __init__(self) -> None:
        self.free = LIMIT
        self.asked: Counter[str] = Counter()

    def acquire(self, function: str, config: Any) -> tuple[str | None, str | None]:
        self.asked[function] += 1
        if function == "reserved":
            return None, "function"
        if not self.free:
            return None, "account"
        self.free -= 1
        return function, None

    def release(self, slot: Any) -> None:
        self.free += slot is not None


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def turns(machine: Machine) -> Turns:
    return Turns(machine.acquire, machine.release)


def test_a_burst_waits_its_turn_and_all_of_it_is_served(machine: Machine, turns: Turns) -> None:
    def run(number: int) -> str | None:
        slot, limit = turns.acquire(f"caller {number}", {})
        turns.release(slot)
        return limit

    with ThreadPoolExecutor(20) as callers:
        assert set(callers.map(run, range(200))) == {None}
    assert machine.free == LIMIT


def test_who_waits_is_woken_and_does_not_keep_asking(machine: Machine, turns: Turns) -> None:
    busy = [turns.acquire("busy", {}) for _ in range(LIMIT)]
    waiting = threading.Thread(target=turns.acquire, args=("patient", {}))
    waiting.start()
    while not machine.asked["patient"]:
        time.sleep(0.001)

    turns.release(busy[0][0])
    waiting.join(timeout=5)

    assert not waiting.is_alive()
    assert machine.asked["patient"] == 2


def test_a_functions_own_limit_refuses_at_once(turns: Turns) -> None:
    assert turns.acquire("reserved", {}) == (None, "function")


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch, turns: Turns) -> None:
    monkeypatch.setattr(emulator_process, "PATIENCE_SECONDS", 0.05)
    for _ in range(LIMIT):
        turns.acquire("busy", {})

    started = time.monotonic()
    assert turns.acquire("impatient", {}) == (None, "account")
    assert time.monotonic() - started < 5


class TestIdleProcesses:
    @pytest.fixture(autouse=True)
    def idle_for_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(emulator_process, "_IDLE_SECONDS", 60)

    def test_they_wait_for_an_invocation_longer_than_the_emulator_has_them(self) -> None:
        waits = []

        class Pending(queue.Queue[str]):
            def get(self, block: bool = True, timeout: float | None = None) -> str:
                waits.append(timeout)
                return "an invocation"

        assert PatientQueue(Pending()).get(timeout=0.1) == "an invocation"
        assert waits == [60]

    def test_their_servers_end_when_they_are_told_to(self) -> None:
        with PatientServer(("127.0.0.1", 0), socketserver.StreamRequestHandler) as server:
            serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
            serving.start()

            server.shutdown()
            serving.join(timeout=10)

            assert not serving.is_alive()
