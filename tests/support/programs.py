"""Programs that tests run and no Python package brings: Debian's, where root may install them."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence

_TAIL_LINES = 10
# Nothing is asked, and a server that a package brings is not started where invoke-rc.d decides on it.
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def debian_packages(*names: str, sudo: bool = False) -> list[list[str]]:
    """The commands that install them, the first that fails being the end of it."""
    prefix = ["sudo", "--non-interactive", "env", *(f"{name}={value}" for name, value in _QUIET.items())]
    return [
        [*(prefix if sudo else []), "apt-get", *arguments]
        for arguments in (
            ("update", "-qq"),
            ("install", "-qq", "--yes", "--no-install-recommends", *names),
        )
    ]


def system() -> str:
    """Its `ID`, e.g. `debian`."""
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
    environment = {**os.environ, **_QUIET}
    for command in commands:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            said = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-_TAIL_LINES:])
            sys.exit(
                f"The tests need {what}, and `{' '.join(command)}` could not install it. It said:\n{said}"
            )
