"""The browser that the tests drive: the one that is there, else Debian's, else the one that Playwright downloads.

`python -m tests.support.browser` installs it if there is none.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support import programs

NAMES = ("chromium", "chromium-browser")


def executable() -> str | None:
    """The system's Chromium; None if it has none, and Playwright is to take its own."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def is_there() -> bool:
    if executable():
        return True
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def installation(system: str, *, is_root: bool) -> list[list[str]]:
    """The commands that install a browser on a system (its `ID`).

    Debian's brings the libraries that it needs, and takes root. Ubuntu's package of that name holds none.
    """
    if system == "debian" and is_root:
        return programs.debian_packages("chromium")
    return [[sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]]


def main() -> None:
    if is_there():
        return
    programs.install("a browser", installation(programs.system(), is_root=programs.is_root()))
    if not is_there():
        sys.exit("No browser was found after it was installed. Install Chromium, then run this again.")


if __name__ == "__main__":
    main()
