"""A command starts fast: it imports its own module, and no library before it needs it."""

import json
import subprocess
import sys
from typing import Final

import pytest

from tests.unit.tools.cli.conftest import FakeApi, Shell
from tools.cli.lazy import MODULES, commands_of
from tools.cloud.settings import ROOT

# What it has imported is told at its end.
PROGRAM: Final = (
    "import atexit, json, runpy, sys\n"
    "atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))\n"
    "runpy.run_module('tools.cli', run_name='__main__')"
)
WITH_MODULES_OF_THEIR_OWN: Final = {
    path.stem
    for path in (ROOT / "tools" / "cli").glob("*.py")
    if "\napp = Commands(" in path.read_text(encoding="utf-8") and path.stem != "__main__"
}

NEVER: Final = {
    "alembic",
    "asyncio",
    "boto3",
    "botocore",
    "http.server",
    "orders.events",
    "pg8000",
    "rich.progress",
    "sqlalchemy",
    "standardwebhooks",
}
"""By a command that only asks the API."""
NOT_WITHOUT_A_COMMAND: Final = NEVER | {"httpx", "psutil", "pydantic", "tools.cloud.local_cloud"}


def imported_by(shell: Shell, *command: str) -> set[str]:
    """The modules that a command has imported at its end."""
    folders = [ROOT, *sorted(ROOT.glob("layers/*/python"))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        env=shell.environment | {"PYTHONPATH": ":".join(map(str, folders))},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_without_a_command_next_to_nothing_is_imported(shell: Shell) -> None:
    imported = imported_by(shell, "--version")

    assert not imported & NOT_WITHOUT_A_COMMAND
    assert not imported & {f"tools.cli.{module}" for module in MODULES}


@pytest.mark.parametrize("command", [["list"], ["queues"], ["webhook", "list"]], ids=" ".join)
def test_a_command_that_asks_the_api_imports_what_that_takes(
    command: list[str], api: FakeApi, shell: Shell
) -> None:
    api.responses = {("*", "*"): {"items": [], "nextCursor": None}}

    imported = imported_by(shell, *command)

    assert "httpx" in imported
    assert not imported & NEVER


@pytest.mark.parametrize("module", sorted(WITH_MODULES_OF_THEIR_OWN))
def test_the_table_of_commands_is_what_the_modules_have(module: str) -> None:
    assert tuple(commands_of(module)) == MODULES[module]


def test_a_module_is_in_the_table_if_it_has_commands() -> None:
    assert set(MODULES) == WITH_MODULES_OF_THEIR_OWN
