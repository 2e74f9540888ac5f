"""How the emulator starts a function's process: as a fork of one that has imported the libraries already.

SQLAlchemy, pydantic and the SDK are nine tenths of the processor time of a cold start, and a burst has dozens. A local
function's `bootstrap` starts the interpreter and the runtime client; the fork runs the same client, by the same
interpreter, with the same environment and directory.
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

from tools.cloud import preloaded_runtime
from tools.cloud.preloaded_runtime import HANDLER_LENGTH, MOST_BYTES
from tools.waiting import wait_until

RUNTIME_CLIENT: Final = "awslambdaric"

_BOOTSTRAP: Final = re.compile(rf'#!/bin/sh\nexec "(?P<interpreter>.+)" -m {RUNTIME_CLIENT} "\$_HANDLER"\n')
_SET_CHILD_SUBREAPER: Final = 36
"""`prctl`'s number for it."""
_LOOK_EVERY_SECONDS: Final = 0.005


class FunctionProcess:
    """A process that was forked for us: as much of `subprocess.Popen` as the emulator uses."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._reaping = threading.Lock()

    def poll(self) -> int | None:
        """The exit code, or minus the number of the signal that ended it; None while it runs."""
        with self._reaping:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Raises subprocess.TimeoutExpired if it still runs after so many seconds."""
        if not wait_until(lambda: self.poll() is not None, timeout, _LOOK_EVERY_SECONDS):
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        assert self.returncode is not None
        return self.returncode

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, what: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, what)


class _Preloaded(NamedTuple):
    process: subprocess.Popen[bytes]
    requests: socket.socket

    def fork(self, environment: Mapping[str, str], directory: str) -> FunctionProcess:
        request = {
            "environment": dict(environment),
            "directory": directory,
            "handler": environment["_HANDLER"],
        }
        reader, writer = os.pipe()
        try:
            socket.send_fds(self.requests, [json.dumps(request).encode()], [writer])
        finally:
            os.close(writer)
        return FunctionProcess(int(self.requests.recv(MOST_BYTES)), os.fdopen(reader, "rb"))


class FunctionStarter:
    """Starts the processes of local functions, and has one process that forks them for each layer while it is open."""

    def __init__(self) -> None:
        """Makes this process the parent of whatever its descendants leave behind."""
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._preloaded: dict[tuple[str, str], _Preloaded] = {}
        self._starting = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for preloaded in self._preloaded.values():
            # Then nobody is left to ask it.
            preloaded.requests.close()
            preloaded.process.wait()

    @staticmethod
    def is_possible() -> bool:
        """Whether this system lets somebody else fork a child for us."""
        return sys.platform == "linux"

    def popen(self, command: Sequence[str], **options: Any) -> Any:
        """In place of `subprocess.Popen`: what is no local function's bootstrap is started as always."""
        interpreter = _interpreter(command)
        if interpreter is None:
            return subprocess.Popen(command, **options)
        environment = options["env"]
        with self._starting:
            preloaded = self._find_preloaded(interpreter, environment)
            return preloaded.fork(environment, options["cwd"])

    def _find_preloaded(self, interpreter: str, environment: Mapping[str, str]) -> _Preloaded:
        key = interpreter, environment["PYTHONPATH"]
        known = self._preloaded.get(key)
        if known is not None and known.process.poll() is not None:
            known.requests.close()
            known = None
        if known is None:
            known = self._preloaded[key] = _preload(*key)
        return known


def _interpreter(command: Sequence[str]) -> str | None:
    """The interpreter that a function's bootstrap starts; None if the command is something else."""
    if len(command) != 1 or Path(command[0]).name != "bootstrap":
        return None
    bootstrap = _BOOTSTRAP.fullmatch(Path(command[0]).read_text())
    return bootstrap["interpreter"] if bootstrap else None


def _preload(interpreter: str, python_path: str) -> _Preloaded:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [interpreter, preloaded_runtime.__file__, RUNTIME_CLIENT, " " * HANDLER_LENGTH],
            stdin=theirs.fileno(),
            env={**os.environ, "PYTHONPATH": python_path},
        )
    return _Preloaded(process, ours)
