"""`orders logs`: an order's log lines, at once or as they arrive; and what is shown while a command waits."""

import json
import os
import pty
import subprocess
import threading
import time
from typing import Any, Final

import pytest

from tests.unit.tools.cli.conftest import FakeApi, Request, Shell
from tools.cli import logs
from tools.cloud.settings import ROOT

ORDER: Final = "018f3f7e-0000-7000-8000-00000000000a"
NOON: Final = "2026-07-01T12:00:00.123456Z"
LOGS: Final = ("GET", f"/admin/orders/{ORDER}/logs")
FOUND: Final = ("GET", "/admin/orders")


def line(message: str, **fields: Any) -> dict[str, Any]:
    return {"time": NOON, "level": "INFO", "function": "notify", "message": message, "fields": fields}


def page(*items: Any, complete: bool = True, cursor: str | None = None) -> dict[str, Any]:
    return {"items": list(items), "nextCursor": cursor, "isComplete": complete}


def test_a_line_says_when_who_and_what(api: FakeApi, shell: Shell) -> None:
    api.responses = {LOGS: page(line("sent\x1b[2J\nforged", order_id=ORDER, nothing=None))}

    shown = shell.orders("logs", ORDER).stdout.decode()

    assert shown.startswith("2026-07-01 14:00:00 CEST  INFO     notify")
    assert f"order_id={ORDER}" in shown
    assert "nothing" not in shown
    assert r"sent\x1b[2J\nforged" in shown, "others' text moves no cursor, and begins no line"


def test_lines_that_may_be_missing_are_told_of(api: FakeApi, shell: Shell) -> None:
    api.responses = {LOGS: page(complete=False)}

    assert "lines may be missing" in shell.orders("logs", ORDER).stdout.decode()
    assert json.loads(shell.orders("logs", ORDER, "--json").stdout)["isComplete"] is False


def test_it_follows_an_order_to_its_end_and_shows_each_line_once(
    api: FakeApi, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(logs, "_QUIET_SECONDS", 0.05)
    looks = [
        (page(line("first")), "PROCESSING"),
        (page(line("late"), line("first")), "PROCESSING"),
        (page(line("late"), line("first"), line("last")), "CONFIRMED"),
    ]
    answer = api.respond

    def respond(request: Request) -> tuple[int, str, bytes]:
        if request.path.startswith("/admin/orders?"):
            status = looks[0][1]
            if len(looks) > 1:
                looks.pop(0)
            api.responses[FOUND] = {"items": [{"orderId": ORDER, "status": status}], "nextCursor": None}
        else:
            api.responses[LOGS] = looks[0][0]
        return answer(request)

    monkeypatch.setattr(api, "respond", respond)

    done = shell.orders("logs", ORDER, "--follow", "--json")

    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(text)["message"] for text in done.stdout.splitlines()] == ["first", "late", "last"]


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_a_terminal_is_told_that_a_command_waits_if_it_does(
    api: FakeApi, shell: Shell, seconds: float
) -> None:
    """In a process of its own: a terminal is one from its start."""
    answer = api.respond

    def respond(request: Request) -> tuple[int, str, bytes]:
        time.sleep(seconds)
        return answer(request)

    api.respond = respond  # type: ignore[method-assign]
    api.responses = {LOGS: page(line("x"))}
    ours, theirs = pty.openpty()
    shown = b""

    def read() -> None:
        nonlocal shown
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:
                return

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    done = subprocess.run(
        [str(ROOT / "bin" / "orders"), "logs", ORDER],
        env=shell.environment | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=100,
        check=True,
    )
    os.close(theirs)
    reading.join(timeout=10)
    os.close(ours)

    assert (b"Waiting for the API" in shown) is (seconds > 1)
    assert b"Waiting" not in done.stdout
