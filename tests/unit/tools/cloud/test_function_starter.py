"""Processes of functions, forked for us by a real process that a real bootstrap names."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.assets import _bootstrap
from tools.chaos import function_processes
from tools.cloud.function_starter import FunctionProcess, FunctionStarter
from tools.waiting import wait_until

pytestmark = pytest.mark.skipif(not FunctionStarter.is_possible(), reason="only Linux lends its children")

HANDLER = "functions.notify.handler.handler"
# In place of AWS's: it says what it was given, and ends when it is told to.
RUNTIME_CLIENT = """
import json, os, sys, time

def main(arguments):
    print(json.dumps({
        "handler": arguments[-1], "directory": os.getcwd(), "path": sys.path[0], "environment": dict(os.environ),
        "libraries": [name for name in ("sqlalchemy", "pydantic") if name in sys.modules],
    }), flush=True)
    print("to standard error", file=sys.stderr, flush=True)
    if os.environ["THEN"] == "waits":
        time.sleep(60)
    if os.environ["THEN"] == "fails":
        raise RuntimeError("no such handler")
"""


@pytest.fixture(scope="module")
def starter() -> Iterator[FunctionStarter]:
    with FunctionStarter() as starter:
        yield starter
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a function, whose layer is beside it."""
    tmp_path = tmp_path_factory.mktemp("function")
    client = tmp_path / "layer" / "awslambdaric"
    client.mkdir(parents=True)
    (client / "__init__.py").touch()
    (client / "__main__.py").write_text(RUNTIME_CLIENT)
    directory = tmp_path / "function"
    directory.mkdir()
    (directory / "bootstrap").write_text(_bootstrap(Path(sys.executable)))
    return directory


def start(starter: FunctionStarter, function: Path, then: str = "ends") -> FunctionProcess:
    process = starter.popen(
        [str(function / "bootstrap")],
        cwd=str(function),
        env={"_HANDLER": HANDLER, "PYTHONPATH": str(function.parent / "layer"), "THEN": then},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert isinstance(process, FunctionProcess)
    return process


def those_that_fork() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "preloaded_runtime" in " ".join(child.cmdline()) and not function_processes.handler_of(child.pid)
    ]


def test_it_runs_what_the_bootstrap_would_with_the_libraries_there(
    starter: FunctionStarter, function: Path
) -> None:
    process = start(starter, function)

    with process.stdout:
        given, said, *_ = process.stdout.read().decode().splitlines()

    assert json.loads(given) == {
        "handler": HANDLER,
        "directory": str(function),
        "path": str(function),
        "environment": {"_HANDLER": HANDLER, "PYTHONPATH": str(function.parent / "layer"), "THEN": "ends"},
        "libraries": ["sqlalchemy", "pydantic"],
    }
    assert said == "to standard error"
    assert process.wait(10) == 1, "a runtime client never ends by itself"


def test_it_is_a_child_of_ours_and_known_by_its_handler(starter: FunctionStarter, function: Path) -> None:
    process = start(starter, function, "waits")
    with process.stdout:
        process.stdout.readline()
        assert psutil.Process(process.pid).ppid() == os.getpid()
        assert function_processes.handler_of(process.pid) == HANDLER
        assert [child.pid for child in function_processes.running(psutil.Process())] == [process.pid]
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
        process.kill()


def test_who_waits_in_vain_is_told(starter: FunctionStarter, function: Path) -> None:
    process = start(starter, function, "waits")
    with process.stdout:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL


def test_what_ends_a_process_is_in_its_output(starter: FunctionStarter, function: Path) -> None:
    process = start(starter, function, "fails")
    with process.stdout:
        assert b"RuntimeError: no such handler" in process.stdout.read()
    assert process.wait(10) == 1


def test_one_process_forks_them_all_and_another_takes_its_place(
    starter: FunctionStarter, function: Path
) -> None:
    processes = [start(starter, function, "waits") for _ in range(3)]
    (preloaded,) = those_that_fork()
    preloaded.kill()
    assert wait_until(lambda: preloaded.status() == psutil.STATUS_ZOMBIE, 10)

    processes.append(start(starter, function, "waits"))

    assert len({process.pid for process in processes}) == 4
    for process in processes:
        with process.stdout:
            assert HANDLER.encode() in process.stdout.readline()
        process.kill()
        process.wait(10)


@pytest.mark.parametrize("name", ["bootstrap", "node"])
def test_anything_else_is_started_as_always(starter: FunctionStarter, tmp_path: Path, name: str) -> None:
    command = tmp_path / name
    command.write_text("#!/bin/sh\necho as always\n")
    command.chmod(0o755)

    with starter.popen([str(command)], stdout=subprocess.PIPE) as process:
        assert process.stdout.read() == b"as always\n"


def test_nothing_is_left_when_it_is_closed(starter: FunctionStarter, function: Path) -> None:
    process = start(starter, function, "waits")
    process.kill()
    process.wait(10)
    process.stdout.close()
    assert those_that_fork()
    with starter:
        pass
    assert those_that_fork() == []
