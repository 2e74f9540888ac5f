import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from tools.cloud.processes import Daemon, listener_on
from tools.errors import LocalCloudError

SLEEP = shutil.which("sleep") or "/bin/sleep"
SHELL = shutil.which("sh") or "/bin/sh"
ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon("The sleeper", tmp_path / "sleeper.json", tmp_path / "sleeper.log", stop_seconds=5)


def test_a_daemon_is_found_again_by_whoever_looks_and_ends_when_told(daemon: Daemon) -> None:
    daemon.start([SLEEP, "60"], ENVIRONMENT)
    found = Daemon(daemon.name, daemon.pidfile, daemon.log).find()
    try:
        assert found is not None
        assert os.getsid(found.pid) == found.pid, "it must not end with our terminal"
    finally:
        assert daemon.stop()
    assert daemon.find() is None
    assert not daemon.pidfile.exists()


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    daemon = Daemon("The stubborn", tmp_path / "pid.json", tmp_path / "log", stop_seconds=0.3)
    daemon.start(
        [SHELL, "-c", f"trap '' TERM; touch {tmp_path}/deaf; {SLEEP} 60 & wait; {SLEEP} 60"], ENVIRONMENT
    )
    daemon.await_ready((tmp_path / "deaf").exists, seconds=10)
    process = daemon.find()
    assert process is not None
    children = process.children()

    assert daemon.stop()

    assert daemon.find() is None
    for child in children:
        child.kill()


def test_a_reused_pid_is_somebody_elses_process(daemon: Daemon) -> None:
    ourselves = psutil.Process()
    daemon.pidfile.write_text(json.dumps({"pid": ourselves.pid, "create_time": ourselves.create_time() - 60}))
    assert daemon.find() is None
    assert not daemon.stop()


def test_a_killed_daemon_is_not_found(daemon: Daemon) -> None:
    daemon.start([SLEEP, "60"], ENVIRONMENT)
    process = daemon.find()
    assert process is not None
    process.kill()
    deadline = time.monotonic() + 5
    while daemon.find() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert daemon.find() is None


def test_a_start_that_fails_shows_the_end_of_its_log(daemon: Daemon) -> None:
    daemon.start([SHELL, "-c", "echo no room left >&2; exit 3"], ENVIRONMENT)
    with pytest.raises(
        LocalCloudError, match=r"The sleeper ended while it was starting\.[\s\S]*no room left"
    ):
        daemon.await_ready(lambda: False, seconds=10)


def test_a_start_that_takes_too_long_says_so(daemon: Daemon) -> None:
    daemon.start([SLEEP, "60"], ENVIRONMENT)
    try:
        with pytest.raises(LocalCloudError, match="did not answer"):
            daemon.await_ready(lambda: False, seconds=0.1)
    finally:
        daemon.stop()


def test_the_log_of_the_run_before_is_kept(daemon: Daemon) -> None:
    for text in ("first", "second"):
        daemon.start([SHELL, "-c", f"echo {text}"], ENVIRONMENT)
        deadline = time.monotonic() + 5
        while text not in daemon.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert daemon.log.read_text() == "second\n"
    assert daemon.log.with_suffix(".previous.log").read_text() == "first\n"


def test_a_taken_port_is_told_with_the_process_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = listener_on(port)
    assert str(os.getpid()) in found
    assert Path(sys.argv[0]).name in found or "python" in found
