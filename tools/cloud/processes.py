"""Processes that outlive the command that started them, found again by pid *and* start time.

A pidfile is believed only if the process with its pid started when the pidfile says: a reused pid is somebody
else's process, which we neither count on nor end.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tools.cloud.settings import ROOT
from tools.errors import LocalCloudError
from tools.waiting import wait_until

# Linux derives start times from ticks and the boot time; the latter moves a little when the clock is adjusted.
_START_TIME_TOLERANCE_SECONDS: Final = 1.5
_LOG_TAIL_LINES: Final = 20


@dataclass(frozen=True)
class Daemon:
    """A named process with a pidfile and a log."""

    name: str
    pidfile: Path
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    """How long it may take to end by itself before it is killed."""

    def find(self) -> psutil.Process | None:
        """The running process, or None."""
        try:
            record = json.loads(self.pidfile.read_text())
            process = psutil.Process(record["pid"])
            age_difference = abs(process.create_time() - record["create_time"])
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None
        return process if age_difference <= _START_TIME_TOLERANCE_SECONDS and is_alive(process) else None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], account: tuple[int, int] = (-1, -1)
    ) -> None:
        """Starts the command detached from this process, as the account (user id, group id) if one is given.

        The log of the run before stays beside the new one. Raises LocalCloudError if it cannot be started.
        """
        self.pidfile.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".previous.log"))
        user_id, group_id = (str(number) for number in account)
        launcher = [sys.executable, "-m", "tools.cloud.processes", str(self.pidfile), user_id, group_id]
        with self.log.open("wb") as log:
            started = subprocess.run(
                [*launcher, *command],
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if started.returncode != 0:
            raise self.failure("could not be started")

    def await_ready(self, is_ready: Callable[[], bool], seconds: float) -> None:
        """Waits until it works; raises LocalCloudError with the end of its log if it ends or takes too long."""

        def is_ready_or_gone() -> bool:
            return is_ready() or self.find() is None

        if not wait_until(is_ready_or_gone, seconds):
            raise self.failure(f"did not answer within {seconds:.0f} s")
        if self.find() is None:
            raise self.failure("ended while it was starting")

    def stop(self) -> bool:
        """Ends it, gently at first. False if it was not running."""
        process = self.find()
        if process is not None:
            try:
                end(process, self.stop_signal, self.stop_seconds)
            except psutil.AccessDenied:
                raise LocalCloudError(
                    f"{self.name} (process {process.pid}) was started by another user and cannot be stopped by you."
                ) from None
        self.pidfile.unlink(missing_ok=True)
        return process is not None

    def failure(self, what_happened: str) -> LocalCloudError:
        """An error that shows the end of the log."""
        return LocalCloudError(f"{self.name} {what_happened}.\n{log_tail(self.log)}")


def log_tail(log: Path) -> str:
    """The last lines of a log, and where the rest is."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
    return f"The end of {log}:\n{tail}" if tail else f"Its log, {log}, is empty."


def listener_on(port: int) -> str:
    """Who listens on a local TCP port, in words: other users' processes may not be visible to us."""
    try:
        for connection in psutil.net_connections("tcp"):
            is_listener = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if is_listener and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({' '.join(process.cmdline())[:120] or process.name()})"
    except psutil.Error:
        pass
    return "another process"


def session_members(session: int, inside: Path) -> list[psutil.Process]:
    """What a dead session leader left running, as long as it works inside the directory.

    The number alone could have been given to somebody else since.
    """
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _session_of(process.pid) == session and Path(process.cwd()).is_relative_to(inside):
                members.append(process)
    return members


def end_session(session: int, inside: Path, seconds: float = 2) -> None:
    """Ends what `session_members` finds."""
    for process in session_members(session, inside):
        with contextlib.suppress(psutil.AccessDenied):
            end(process, signal.SIGTERM, seconds)


def end(process: psutil.Process, stop_signal: signal.Signals, seconds: float) -> None:
    """Asks a process to end, and kills it if it has not after so many seconds.

    Raises psutil.AccessDenied if it is another user's.
    """
    for final in (stop_signal, signal.SIGKILL):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(final)
        if wait_until(lambda: not is_alive(process), seconds):
            return


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not: in a container nobody may ever reap it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _become(pidfile: Path, user_id: int, group_id: int, command: list[str]) -> None:
    """Forks, registers the child and turns it into the command; returns in the parent once it is registered.

    The process writes its own pidfile before it becomes the command, so however early the one who asked for it is
    killed, no process is ever left without a pidfile. The ids are -1 to stay who we are.
    """
    registered, register = os.pipe()
    if os.fork():
        os.close(register)
        if not os.read(registered, 1):
            sys.exit(f"could not write {pidfile}")
        return

    os.setsid()
    process = psutil.Process()
    record = {"pid": process.pid, "create_time": process.create_time()}
    unfinished = pidfile.with_suffix(f".{process.pid}")
    unfinished.write_text(json.dumps(record))
    unfinished.replace(pidfile)
    os.write(register, b"1")
    if user_id >= 0:
        os.setgroups([])
        os.setgid(group_id)
        os.setuid(user_id)
    os.execv(command[0], command)


if __name__ == "__main__":
    # Called by `Daemon.start`.
    _become(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
