"""Installs everything the project needs into the project's directory; nothing if it is there already.

Run by a plain interpreter, before there is anything installed: standard library only. What is installed is told by
stamps, so a second run takes no time and no network, and a killed one is finished by the next.
"""

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
NODE_MODULES = ROOT / "node_modules"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
PACKAGE_LOCK = ROOT / "package-lock.json"
LOCK = ROOT / ".build" / "setup.lock"

OLDEST_NODE = 20
_TAIL_LINES = 20


class SetupError(Exception):
    """The message is for the person at the terminal."""


def main() -> None:
    """Installs the Python environment, the CDK command line and the functions' dependencies, side by side."""
    started = time.monotonic()
    _check_node()
    with _exclusive():
        environment_stamp = _stamp(REQUIREMENTS, sys.version)
        node_stamp = _stamp(PACKAGE_LOCK, "")
        needs_environment = not (PYTHON.exists() and _is_current(ENVIRONMENT, environment_stamp))
        needs_node_modules = not _is_current(NODE_MODULES, node_stamp)
        if needs_environment or needs_node_modules:
            print("Installing dependencies (once, about a minute) ...", flush=True)
        if needs_environment:
            _make_environment()
        with ThreadPoolExecutor() as pool:
            jobs = [pool.submit(_prepare_assets)]
            if needs_environment:
                jobs.append(pool.submit(_install_requirements, environment_stamp))
            if needs_node_modules:
                jobs.append(pool.submit(_install_node_modules, node_stamp))
        for job in jobs:
            job.result()
        if needs_environment or needs_node_modules:
            print(f"Dependencies installed ({time.monotonic() - started:.0f} s)", flush=True)


def _check_node() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise SetupError(f"Node.js {OLDEST_NODE} or newer, with npm, is needed: https://nodejs.org")
    version = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        raise SetupError(
            f"Node.js {OLDEST_NODE} or newer is needed, but `node --version` says {version or 'nothing'}."
        )


def _make_environment() -> None:
    """A new virtual environment, unless this is its interpreter: then it may only be half-installed."""
    if Path(sys.prefix) != ENVIRONMENT:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _run(
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            "Python could not make a virtual environment (on Debian and Ubuntu: apt install python3-venv)",
        )


def _install_requirements(stamp: str) -> None:
    # Byte code is written when a module is first imported: compiling all of the CDK takes longer than installing it.
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-compile", "--no-deps", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    _run([*pip, *options], "pip could not install requirements/dev.txt")
    _write_stamp(ENVIRONMENT, stamp)


def _install_node_modules(stamp: str) -> None:
    _run(
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        "npm could not install the CDK command line",
    )
    _write_stamp(NODE_MODULES, stamp)


def _prepare_assets() -> None:
    _run(
        [str(PYTHON), "-m", "infra.assets"],
        "The functions' dependencies could not be installed",
    )


def _run(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        tail = "\n".join(f"  {line}" for line in done.stdout.strip().splitlines()[-_TAIL_LINES:])
        raise SetupError(f"{failure}. It said:\n{tail}")


def _stamp(locked: Path, also: str) -> str:
    return hashlib.sha256(locked.read_bytes() + also.encode()).hexdigest()


def _is_current(directory: Path, stamp: str) -> bool:
    file = directory / ".stamp"
    return file.exists() and file.read_text() == stamp


def _write_stamp(directory: Path, stamp: str) -> None:
    (directory / ".stamp").write_text(stamp)


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    """One set-up at a time; the kernel frees the lock when its holder dies."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"\n{error}")
