"""Which browser the tests drive, and where it comes from."""

import sys
from pathlib import Path

import pytest

from tests.support import browser, programs


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
