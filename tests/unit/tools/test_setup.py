import sys
from pathlib import Path

import pytest

from tools import setup
from tools.setup import SetupError


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that holds nothing but what a test puts there."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def _tool(directory: Path, name: str, answer: str) -> None:
    tool = directory / name
    tool.write_text(f"#!/bin/sh\necho '{answer}'\n")
    tool.chmod(0o755)


@pytest.mark.parametrize("version", ["v20.0.0", "v22.11.0", "v100.1.0"])
def test_a_node_that_is_new_enough_is_fine(tools: Path, version: str) -> None:
    _tool(tools, "node", version)
    _tool(tools, "npm", "10")
    setup._check_node()


@pytest.mark.parametrize("version", ["v18.20.1", "v8.0.0", "something else"])
def test_a_node_that_is_too_old_is_told_with_its_version(tools: Path, version: str) -> None:
    _tool(tools, "node", version)
    _tool(tools, "npm", "10")
    with pytest.raises(SetupError, match=f"20 or newer is needed.*{version}"):
        setup._check_node()


def test_a_missing_node_is_told_with_where_to_get_it(tools: Path) -> None:
    with pytest.raises(SetupError, match=r"nodejs\.org"):
        setup._check_node()


def test_a_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"pip could not install\. It said:\n  No matching distribution"):
        setup._run(["/bin/sh", "-c", "echo No matching distribution >&2; exit 1"], "pip could not install")


def test_a_stamp_is_current_until_what_it_stands_for_changes(tmp_path: Path) -> None:
    locked = tmp_path / "lock"
    locked.write_text("a==1")
    stamp = setup._stamp(locked, sys.version)
    assert not setup._is_current(tmp_path, stamp)
    setup._write_stamp(tmp_path, stamp)
    assert setup._is_current(tmp_path, stamp)
    locked.write_text("a==2")
    assert not setup._is_current(tmp_path, setup._stamp(locked, sys.version))
