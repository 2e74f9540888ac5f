"""Which programs the tests drive that no Python package brings, and where they come from."""

import sys
from pathlib import Path

import pytest

from tests.support import browser, pgbouncer, programs


def test_a_browser_of_the_system_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chromium = tmp_path / "chromium"
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert browser.executable() == str(chromium)
    assert browser.is_there(), "and nothing is installed"


def test_without_one_playwright_takes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser.executable() is None


def test_root_on_debian_gets_debian_s(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, last = browser.installation("debian", is_root=True)
    assert last[0] == "apt-get"
    assert last[-1] == "chromium"


@pytest.mark.parametrize(("system", "is_root"), [("debian", False), ("ubuntu", True), ("Darwin", False)])
def test_anybody_else_gets_playwright_s_download(system: str, is_root: bool) -> None:
    (command,) = browser.installation(system, is_root=is_root)
    assert command[:3] == [sys.executable, "-m", "playwright"]


def test_an_installation_that_fails_is_quoted() -> None:
    with pytest.raises(SystemExit, match=r"`/bin/sh -c echo no network; exit 1`(.|\n)*  no network"):
        programs.install("a browser", [["/bin/sh", "-c", "echo no network; exit 1"]])


def test_a_pooler_is_found_where_debian_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pgbouncer.executable() in {None, "/usr/sbin/pgbouncer"}
    pooler = tmp_path / "pgbouncer"
    pooler.write_text("#!/bin/sh\n")
    pooler.chmod(0o755)
    assert pgbouncer.executable() == str(pooler)


@pytest.mark.parametrize(
    ("system", "is_root", "is_ci", "first"),
    [
        ("debian", True, False, "apt-get"),
        ("ubuntu", True, False, "apt-get"),
        ("ubuntu", False, True, "sudo"),
        ("ubuntu", False, False, None),
        ("Darwin", False, False, None),
    ],
)
def test_a_pooler_is_installed_by_root_and_on_a_machine_of_ci(
    system: str, is_root: bool, is_ci: bool, first: str | None
) -> None:
    commands = pgbouncer.installation(system, is_root=is_root, is_ci=is_ci)
    assert {command[0] for command in commands} == ({first} if first else set())
    assert all(command[-1] in {"-qq", "pgbouncer"} for command in commands)


def test_tests_without_a_pooler_fail_and_say_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pgbouncer, "executable", lambda: None)
    with (
        pytest.raises(pytest.fail.Exception, match="apt-get install pgbouncer"),
        pgbouncer.running(tmp_path, {}, (-1, -1)),
    ):
        pass
