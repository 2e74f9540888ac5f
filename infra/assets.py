"""Stages what the Lambda functions are made of, without Docker.

Two targets: ``local`` is run by this interpreter on this machine, ``aws`` by Lambda's Python 3.13 on arm64.

Every directory built here carries a digest of its inputs as its name and appears by one rename, so

* a directory that exists is complete, whatever was killed while it was being built;
* nothing is built or downloaded twice, and nothing that did not change gets another asset hash;
* a local function, whose ``PYTHONPATH`` names the layer's directory, is redeployed when the layer changes.

``python -m infra.assets`` builds the parts that need a network, for both targets.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

Target = Literal["local", "aws"]

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
LAYER_REQUIREMENTS = REQUIREMENTS / "layer.txt"
RUNTIME_REQUIREMENTS = REQUIREMENTS / "runtime.txt"
LAYERS = ROOT / "layers"
SHARED_PACKAGE = LAYERS / "shared" / "python"
FUNCTIONS = ROOT / "functions"
BUILD = ROOT / ".build"

# Raise it when a change of this file must invalidate what older versions of it built.
_RECIPE = "1"

_AWS_PYTHON = (3, 13)
# pip matches these names exactly, so the older tags stand beside the newest that Lambda's glibc (2.34) runs.
_AWS_PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_AWS_MACHINE = "aarch64"

_UNUSED_FOR_SECONDS = 7 * 24 * 3600
_NEVER_STAGED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
# importlib.metadata reads these two; licences stay because they ask to.
_KEPT_METADATA = frozenset({"METADATA", "entry_points.txt", "licenses"})
_ERROR_LINES = 15


class AssetError(Exception):
    """Something could not be staged; the message says what, and what the tool behind it said."""


def layer_directory(target: Target) -> Path:
    """The shared layer: a directory holding ``python/`` with the dependencies and the ``orders`` package.

    Raises AssetError when pip cannot install the dependencies.
    """
    dependencies = _dependencies_directory(target, LAYER_REQUIREMENTS)
    sources = _sources(SHARED_PACKAGE)
    digest = _digest(target, dependencies.name, _bytecode_tag(target), SHARED_PACKAGE, sources)

    def build(into: Path) -> None:
        shutil.copytree(dependencies, into / "python", copy_function=_link_or_copy)
        _copy(SHARED_PACKAGE, sources, into / "python")
        _byte_compile(into / "python" / "orders", into, target)

    return _once(BUILD / target / "layer" / digest, build)


def payment_providers() -> list[str]:
    """The payment providers whose code is here."""
    return sorted(path.name.removeprefix("payment_") for path in LAYERS.glob("payment_*"))


def provider_layer_directory(provider: str, target: Target) -> Path:
    """The layer of one payment provider: a directory holding ``python/`` with the package ``payment_<provider>`` and
    what `requirements/payment_<provider>.txt` names, if there is such a file.

    Raises AssetError when there is no such provider, or pip cannot install what it needs.
    """
    if provider not in payment_providers():
        raise AssetError(
            f"there is no payment provider {provider!r}; there is: {', '.join(payment_providers())}"
        )
    name = f"payment_{provider}"
    package = LAYERS / name / "python"
    sources = _sources(package)
    requirements = REQUIREMENTS / f"{name}.txt"
    dependencies = _dependencies_directory(target, requirements) if requirements.exists() else None
    digest = _digest(
        target, dependencies.name if dependencies else "", _bytecode_tag(target), package, sources
    )

    def build(into: Path) -> None:
        if dependencies:
            shutil.copytree(dependencies, into / "python", copy_function=_link_or_copy)
        _copy(package, sources, into / "python")
        _byte_compile(into / "python" / name, into, target)

    return _once(BUILD / target / name / digest, build)


def function_directory(name: str, target: Target) -> Path:
    """The package of one function, importable as ``functions.<name>``; locally also its ``bootstrap``.

    Raises AssetError when there is no such function.
    """
    package = FUNCTIONS / name
    if not (package / "handler.py").is_file():
        raise AssetError(f"there is no function {name!r}: functions/{name}/handler.py is missing")
    sources = [Path("__init__.py"), *(name / path for path in _sources(package))]
    bootstrap = _bootstrap(runtime_interpreter()) if target == "local" else ""
    digest = _digest(target, name, _bytecode_tag(target), bootstrap, FUNCTIONS, sources)

    def build(into: Path) -> None:
        _copy(FUNCTIONS, sources, into / "functions")
        _byte_compile(into / "functions", into, target)
        if bootstrap:
            (into / "bootstrap").write_text(bootstrap)
            (into / "bootstrap").chmod(0o755)

    return _once(BUILD / target / "functions" / name / digest, build)


def runtime_interpreter() -> Path:
    """The interpreter that runs the functions locally: AWS's runtime client and boto3, nothing else.

    A dependency that the layer does not ship is therefore missing here as it would be on AWS.
    Raises AssetError when pip cannot install them.
    """
    digest = _digest(os.path.realpath(sys.executable), _platform_tag(), RUNTIME_REQUIREMENTS.read_bytes())

    def build(into: Path) -> None:
        _run([sys.executable, "-m", "venv", "--without-pip", str(into)], "the functions' environment")
        (site_packages,) = (into / "lib").glob("python*/site-packages")
        _pip_install(RUNTIME_REQUIREMENTS, site_packages, ["--only-binary=:all:"])
        _byte_compile(site_packages, into, "local")

    return _once(BUILD / "local" / "runtime" / digest, build) / "bin" / "python"


def prepare() -> None:
    """Installs all that staging needs from a package index, so that it works without a network from then on."""
    targets: tuple[Target, ...] = ("local", "aws")
    with ThreadPoolExecutor() as pool:
        builds = [
            pool.submit(runtime_interpreter),
            *(
                pool.submit(_dependencies_directory, target, requirements)
                for target in targets
                for requirements in (LAYER_REQUIREMENTS, *sorted(REQUIREMENTS.glob("payment_*.txt")))
            ),
        ]
    for build in builds:
        build.result()


def _dependencies_directory(target: Target, requirements: Path) -> Path:
    """A layer's third-party packages; keyed without our own code, so editing that never re-installs."""
    platform = _platform_tag() if target == "local" else f"{_AWS_PYTHON}-{_AWS_PLATFORMS}-{_AWS_MACHINE}"
    digest = _digest(target, platform, _bytecode_tag(target), requirements.read_bytes())

    def build(into: Path) -> None:
        options = ["--only-binary=:all:"]
        if target == "aws":
            options += ["--implementation", "cp", "--python-version", ".".join(map(str, _AWS_PYTHON))]
            for platform_tag in _AWS_PLATFORMS:
                options += ["--platform", f"{platform_tag}_{_AWS_MACHINE}"]
        _pip_install(requirements, into, options)
        _strip(into)
        _byte_compile(into, into, target)

    return _once(BUILD / target / "dependencies" / digest, build)


def _bootstrap(interpreter: Path) -> str:
    return f'#!/bin/sh\nexec "{interpreter}" -m awslambdaric "$_HANDLER"\n'


def _sources(directory: Path) -> list[Path]:
    """Every file below the directory, relative to it and sorted, without what tools leave behind. A link stands for
    the file that it leads to, e.g. in `node_modules`.

    Raises AssetError when a link leads nowhere.
    """
    for path in directory.rglob("*"):
        if path.is_symlink() and not path.exists():
            raise AssetError(f"{path} leads to {path.readlink()}, which is not there: run make setup")
    return sorted(
        path.relative_to(directory)
        for path in directory.rglob("*")
        if path.is_file() and not _NEVER_STAGED.intersection(path.parts)
    )


def _copy(source: Path, files: list[Path], target: Path) -> None:
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _digest(*inputs: str | bytes | Path | list[Path]) -> str:
    """A digest over the inputs in order; a list of files is read relative to the directory named before it."""
    digest = hashlib.sha256(_RECIPE.encode())
    directory = ROOT

    def add(content: bytes) -> None:
        digest.update(len(content).to_bytes(8, "big") + content)

    for value in inputs:
        if isinstance(value, Path):
            directory = value
        elif isinstance(value, list):
            for file in value:
                add(file.as_posix().encode())
                add((directory / file).read_bytes())
        else:
            add(value.encode() if isinstance(value, str) else value)
    return digest.hexdigest()[:16]


def _platform_tag() -> str:
    return f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"


def _bytecode_tag(target: Target) -> str:
    """Byte code only helps the interpreter that wrote it: for AWS it is written by the same version or not at all."""
    if target == "aws" and sys.version_info[:2] != _AWS_PYTHON:
        return "sources only"
    return str(sys.implementation.cache_tag)


def _byte_compile(directory: Path, root: Path, target: Target) -> None:
    """Writes byte code that is never checked against its source: staged files do not change.

    In a process of its own, and with the staging directory cut from the recorded paths, so that the same
    source gives the same bytes wherever and whenever it is compiled.
    """
    if _bytecode_tag(target) == "sources only":
        return
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    _run([*command, "-s", str(root), str(directory)], f"byte code for {directory.name}")


def _pip_install(requirements: Path, into: Path, options: list[str]) -> None:
    options = [
        *options,
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
    ]
    where = ["--requirement", str(requirements), "--target", str(into)]
    _run(
        [sys.executable, "-m", "pip", "install", *options, *where],
        f"the packages in requirements/{requirements.name}",
    )


def _run(command: list[str], purpose: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_ERROR_LINES:])
        raise AssetError(f"could not stage {purpose}:\n{said}")


def _strip(packages: Path) -> None:
    """Takes out of installed packages what no function reads: their tests, their scripts, pip's records."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for directory in [path for path in packages.glob("**/tests") if path.is_dir()]:
        shutil.rmtree(directory)
    for metadata in packages.glob("*.dist-info"):
        for entry in metadata.iterdir():
            if entry.name in _KEPT_METADATA:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _once(directory: Path, build: Callable[[Path], None]) -> Path:
    """The directory, built first if it does not exist; a second process asking for it waits for the first."""
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _locked(directory.parent / ".lock"):
            # Only the holder of the lock builds here, so any other half-built directory was left by a killed process.
            for leftover in directory.parent.glob(".building-*"):
                shutil.rmtree(leftover)
            if not directory.is_dir():
                building = directory.parent / f".building-{directory.name}"
                building.mkdir()
                build(building)
                building.rename(directory)
            _remove_unused(directory)
    with contextlib.suppress(
        PermissionError
    ):  # built by another user, root perhaps, which is no reason not to use it
        os.utime(directory)
    return directory


def _remove_unused(current: Path) -> None:
    """Removes builds nobody asked for in a week; a cloud that is still running may use the recent ones."""
    for sibling in current.parent.iterdir():
        is_old = sibling.stat().st_mtime < time.time() - _UNUSED_FOR_SECONDS
        if sibling.is_dir() and sibling != current and is_old:
            shutil.rmtree(sibling)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock that the kernel frees when its holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        prepare()
    except AssetError as error:
        sys.exit(str(error))
