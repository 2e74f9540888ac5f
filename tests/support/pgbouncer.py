"""PgBouncer, the nearest to RDS Proxy that runs here: the one that is there, else Debian's.

`python -m tests.support.pgbouncer` installs it if there is none.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import programs

_MISSING = (
    "PgBouncer is not on this machine: the tests of connections through a pooler fail without it. "
    "Install it: apt-get install pgbouncer, brew install pgbouncer"
)
_START_SECONDS = 20


def executable() -> str | None:
    """Debian has it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def installation(system: str, *, is_root: bool, is_ci: bool) -> list[list[str]]:
    """The commands that install it on a system (its `ID`), as root, or on a machine that is thrown away; else none."""
    if system in {"debian", "ubuntu"} and (is_root or is_ci):
        return programs.debian_packages("pgbouncer", sudo=not is_root)
    return []


def main() -> None:
    if executable():
        return
    commands = installation(programs.system(), is_root=programs.is_root(), is_ci="CI" in os.environ)
    if not commands:
        print(_MISSING, file=sys.stderr)
        return
    programs.install("PgBouncer", commands)
    if not executable():
        sys.exit(_MISSING)


@contextlib.contextmanager
def running(directory: Path, options: Mapping[str, str], account: tuple[int, int]) -> Iterator[int]:
    """PgBouncer with these options in front of every database that they name; its port on loopback.

    It refuses to run as root. `account`, as (user id, group id), owns the directory and runs it; -1 is whoever we are.
    """
    program = executable()
    if program is None:
        pytest.fail(_MISSING)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    settings = {"listen_addr": "127.0.0.1", "listen_port": str(port), "unix_socket_dir": "", **options}
    database = settings.pop("database")
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = {database}\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    configuration.chmod(0o644)
    user_id, group_id = account
    log = directory / "pgbouncer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, str(configuration)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user_id if user_id >= 0 else None,
            group=group_id if user_id >= 0 else None,
            extra_groups=[] if user_id >= 0 else None,
        )
    try:
        _await(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"PgBouncer did not start:\n{log.read_text()}")


if __name__ == "__main__":
    main()
