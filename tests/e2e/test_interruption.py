"""The demonstration may end at any moment, and the next one works."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.cloud import emulator, local_cloud, postgres
from tools.cloud.local_cloud import Sandbox
from tools.cloud.settings import ROOT

PATIENCE_SECONDS = 120
INTERRUPTED = 130


pytestmark = pytest.mark.timeout(300)


@contextmanager
def demonstration(environment: Mapping[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`orders demo` as a command of its own, with its output in a file; killed if it is still there in the end."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [str(ROOT / "bin" / "orders"), "demo"],
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A shell that starts tests in the background has them ignore it, and their children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def await_line(process: subprocess.Popen[bytes], output: Path, part: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while part not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)


def test_killed_in_the_middle_of_its_deploy_it_starts_again_and_interrupted_it_leaves_nothing_running(
    breakable_cloud: Sandbox, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    local_cloud.down(breakable_cloud.settings, print)
    with demonstration(breakable_cloud.environment, first) as process:
        await_line(process, first, "Synthesized")
        process.send_signal(signal.SIGKILL)

    with demonstration(breakable_cloud.environment, second) as process:
        await_line(process, second, ": CONFIRMED")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == INTERRUPTED, second.read_text()
    assert "Interrupted" in second.read_text()
    assert "Traceback" not in second.read_text()
    assert postgres.daemon(breakable_cloud.settings).find() is None
    assert emulator.daemon(breakable_cloud.settings).find() is None


def test_killed_among_its_orders_it_runs_again_to_its_end_on_the_cloud_that_was_up(
    breakable_cloud: Sandbox, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    local_cloud.up(breakable_cloud.settings, print)
    with demonstration(breakable_cloud.environment, first) as process:
        await_line(process, first, ": CONFIRMED")
        process.send_signal(signal.SIGKILL)

    with demonstration(breakable_cloud.environment, second) as process:
        assert process.wait(PATIENCE_SECONDS) == 0, second.read_text()
    printed = second.read_text()
    assert "Nothing to deploy" in printed
    assert "8 race for the last 5" in printed
    assert "Every order ended as expected, and every promise held." in printed
    assert emulator.daemon(breakable_cloud.settings).find() is not None, "it was up before, so it stays up"
