"""The processes that run the functions: which runs what, and the signals that they get."""

import contextlib
import os
import signal
from collections.abc import Collection
from typing import Final

import psutil

from infra.names import snake
from orders.domain import FORWARD_STEPS, UNDOES
from tools.chaos.plan import Target
from tools.cloud.function_starter import RUNTIME_CLIENT
from tools.cloud.processes import is_alive
from tools.waiting import wait_until

_END_SECONDS: Final = 2.0


def handler_of(pid: int) -> str:
    """The handler that a process runs, from its command line; empty if it is no function's process."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.Error:
        return ""
    # One that only forks them has no handler.
    return command[-1].strip() if RUNTIME_CLIENT in command else ""


def handlers(target: Target) -> frozenset[str]:
    """The handlers that a target stands for."""
    match target:
        case Target.ACCEPTING:
            return frozenset({"functions.create_order.handler.handler"})
        case Target.STEP:
            return frozenset(_step(step) for step in FORWARD_STEPS)
        case Target.COMPENSATION:
            return frozenset(_step(step) for step in UNDOES)
        case Target.CONSUMER:
            consumers = ("notify", "payment_events", "inventory_events")
            return frozenset(f"functions.{name}.handler.handler" for name in consumers)
        case Target.STARTER:
            return frozenset({"functions.start_saga.handler.handler"})


RELAY: Final = "functions.outbox_relay.handler.handler"


def running(emulator: psutil.Process, of: Collection[str] | None = None) -> list[psutil.Process]:
    """The emulator's function processes that run one of these handlers; all of them if none is named."""
    found = []
    for child in emulator.children(recursive=True):
        handler = handler_of(child.pid)
        if handler and (of is None or handler in of):
            found.append(child)
    return found


def kill(pid: int) -> bool:
    """`kill -9`, as a host that goes away. True: it was alive and is no more."""
    try:
        process = psutil.Process(pid)
        was_alive = is_alive(process)
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return wait_until(lambda: not is_alive(process), _END_SECONDS, every=0.005) and was_alive


def freeze(pid: int) -> None:
    """Stops a process where it is. It does not notice."""
    _send(pid, signal.SIGSTOP)


def thaw(pid: int) -> bool:
    """Lets it go on. True: it had been standing still all the time, and lives."""
    try:
        was_frozen = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
    _send(pid, signal.SIGCONT)
    return was_frozen


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _step(name: str) -> str:
    return f"functions.saga_steps.handler.{snake(name)}"
