"""Programs that tests run and no Python package brings: Debian's, where root may install them."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence

_TAIL_LINES = 10


def has_debian_packages(system: str, *, is_root: bool) -> bool:
    """Whether `debian_packages` works on a system (its `ID`). Ubuntu's packages of the same names may hold nothing."""
    return system == "debian" and is_root


def debian_packages(*names: str) -> list[list[str]]:
    """The commands that install them, the first that fails being the end of it."""
    return [
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *names],
    ]


def system() -> str:
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:  # no Linux
        return platform.system()


def is_root() -> bool:
    return os.geteuid() == 0


def install(what: str, commands: Sequence[Sequence[str]]) -> None:
    """Runs the commands.

    Raises:
        SystemExit: one fails. It is quoted, with what it said.
    """
    print(f"Installing {what} for the tests (once) ...", flush=True)
    # A package that brings a server must not start it, where it listens to that.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in commands:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            said = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-_TAIL_LINES:])
            sys.exit(
                f"The tests need {what}, and `{' '.join(command)}` could not install it. It said:\n{said}"
            )
