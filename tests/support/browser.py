"""The browser that the tests drive: the one that is there, else Debian's, else the one that Playwright downloads.

`python -m tests.support.browser` installs it if there is none.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser")
_TAIL_LINES = 10


def executable() -> str | None:
    """The system's Chromium; None if it has none, and Playwright is to take its own."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def is_there() -> bool:
    if executable():
        return True
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def installation(system: str, *, is_root: bool) -> list[list[str]]:
    """The commands that install a browser on a system (its `ID`), the first that fails being the end of it.

    Debian's brings the libraries that it needs, and takes root. Ubuntu's package of that name holds none.
    """
    if system == "debian" and is_root:
        return [
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium"],
        ]
    return [[sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]]


def main() -> None:
    if is_there():
        return
    print("Installing a browser for the tests (once) ...", flush=True)
    for command in installation(_system(), is_root=os.geteuid() == 0):
        _run(command)
    if not is_there():
        sys.exit("No browser was found after it was installed. Install Chromium, then run this again.")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:  # no Linux
        return platform.system()


def _run(command: Sequence[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        said = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-_TAIL_LINES:])
        sys.exit(
            f"The tests need a browser, and `{' '.join(command)}` could not install one. It said:\n{said}"
        )


if __name__ == "__main__":
    main()
