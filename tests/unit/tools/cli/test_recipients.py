"""`orders recipients …`: what it asks of the API, against an API that a test writes."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli import recipients
from tools.client.http import ApiClient

RECIPIENT = "018f3f7e-0000-7000-8000-000000000001"
FRIEND = "friend@example.com"
RESPONSE: dict[str, Any] = {
    "items": [],
    "nextCursor": None,
    "recipientId": RECIPIENT,
    "address": FRIEND,
    "confirmedAt": None,
}

CALLS: list[tuple[list[str], str, str, Any]] = [
    (["add", FRIEND], "POST", "", {"channel": "email", "address": FRIEND, "locale": "en"}),
    (
        ["add", "+34600123456", "--locale", "es"],
        "POST",
        "",
        {"channel": "sms", "address": "+34600123456", "locale": "es"},
    ),
    (["confirm", RECIPIENT, "012345"], "POST", f"/{RECIPIENT}/confirmation", {"code": "012345"}),
    (["list"], "GET", "", None),
    (["remove", RECIPIENT], "DELETE", f"/{RECIPIENT}", None),
]


def run(
    command: list[str], response: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, httpx.Request]:
    """Answers what it printed, and its request."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=response)

    @contextlib.contextmanager
    def client(user: str | None) -> Iterator[ApiClient]:
        transport = httpx.MockTransport(respond)
        with httpx.Client(transport=transport, base_url="http://api/api/v1/") as http:
            yield ApiClient(http)

    monkeypatch.setattr(recipients, "client", client)
    done = CliRunner().invoke(recipients.app, command)
    assert done.exit_code == 0, done.output
    (request,) = requests
    return done.output, request


@pytest.mark.parametrize(("command", "method", "path", "body"), CALLS)
def test_each_command_is_one_request_of_the_api(
    command: list[str], method: str, path: str, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, request = run(command, RESPONSE, monkeypatch)

    assert (request.method, request.url.raw_path.decode()) == (method, f"/api/v1/recipients{path}")
    assert (json.loads(request.content) if request.content else None) == body
    assert ("idempotency-key" in request.headers) == (command[0] == "add")


def test_an_address_is_never_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    odd, seen = "[/red][black]\x1b[2Ja@example.com", r"[/red][black]\x1b[2Ja@example.com"
    item = {**RESPONSE, "address": odd, "channel": "email", "codeExpiresAt": None}

    for command in (["add", FRIEND], ["list"], ["confirm", RECIPIENT, "012345"]):
        printed, _ = run(command, {**item, "items": [item]}, monkeypatch)
        assert seen in printed


def test_what_is_confirmed_already_waits_for_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, _ = run(["add", FRIEND], RESPONSE, monkeypatch)
    confirmed, _ = run(["add", FRIEND], {**RESPONSE, "confirmedAt": "2026-01-02T00:00:00Z"}, monkeypatch)

    assert f"bin/orders recipients confirm {RECIPIENT} CODE" in waiting
    assert confirmed == f"{FRIEND} is confirmed already.\n"
