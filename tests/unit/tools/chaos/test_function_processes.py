"""Signals to processes that are real ones."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from infra.names import snake
from orders.domain import COMPENSATIONS, FORWARD_STEPS
from tools.chaos import function_processes
from tools.chaos.plan import Target


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose command line is that of a function."""
    code = "import time; time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, "awslambdaric", "functions.notify.handler.handler"]
    ) as child:
        yield child
        child.kill()


def test_a_functions_process_is_known_by_its_handler(sleeper: subprocess.Popen[bytes]) -> None:
    while not psutil.Process(sleeper.pid).cmdline():
        time.sleep(0.01)
    assert function_processes.handler_of(sleeper.pid) == "functions.notify.handler.handler"


def test_any_other_process_has_no_handler() -> None:
    assert function_processes.handler_of(psutil.Process().pid) == ""


def test_a_process_is_killed_once(sleeper: subprocess.Popen[bytes]) -> None:
    assert function_processes.kill(sleeper.pid)
    assert not function_processes.kill(sleeper.pid)


def test_a_frozen_process_goes_on_when_it_is_thawed(sleeper: subprocess.Popen[bytes]) -> None:
    function_processes.freeze(sleeper.pid)
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    assert function_processes.thaw(sleeper.pid)
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED
    assert not function_processes.thaw(sleeper.pid), "it was not frozen"


def test_the_functions_of_the_saga_are_found_by_the_names_of_their_steps() -> None:
    assert function_processes.handlers(Target.STEP) == {
        f"functions.saga_steps.handler.{snake(step)}" for step in FORWARD_STEPS
    }
    assert len(function_processes.handlers(Target.COMPENSATION)) == len(COMPENSATIONS)
    assert "functions.saga_steps.handler.refund_payment" in function_processes.handlers(Target.COMPENSATION)
