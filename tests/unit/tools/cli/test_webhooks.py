"""`orders webhook …`: what it asks of the API, against an API that a test writes."""

import contextlib
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli import webhooks
from tools.cli.__main__ import app
from tools.client.http import ApiClient
from tools.console import Console, table_of

WEBHOOK = "018f3f7e-0000-7000-8000-000000000001"
DELIVERY = "018f3f7e-0000-7000-8000-000000000002"

CALLS: list[tuple[list[str], str, str, Any]] = [
    (
        ["add", "https://a.example/", "--description", "Mine"],
        "POST",
        "",
        {"url": "https://a.example/", "description": "Mine"},
    ),
    (["add", "https://a.example/"], "POST", "", {"url": "https://a.example/"}),
    (["list"], "GET", "", None),
    (["remove", WEBHOOK], "DELETE", f"/{WEBHOOK}", None),
    (["rotate", WEBHOOK], "POST", f"/{WEBHOOK}/secret", {}),
    (
        ["rotate", WEBHOOK, "--revoke-previous"],
        "POST",
        f"/{WEBHOOK}/secret",
        {"revokePrevious": True},
    ),
    (["trigger", WEBHOOK], "POST", f"/{WEBHOOK}/test", {}),
    (
        ["update", WEBHOOK, "--url", "https://b.example/", "--event", "com.orders.order.confirmed.v1"],
        "PATCH",
        f"/{WEBHOOK}",
        {"url": "https://b.example/", "eventTypes": ["com.orders.order.confirmed.v1"]},
    ),
    (["update", WEBHOOK, "--event", "all"], "PATCH", f"/{WEBHOOK}", {"eventTypes": None}),
    (["enable", WEBHOOK], "POST", f"/{WEBHOOK}/enable", {}),
    (["deliveries", WEBHOOK, "--limit", "5"], "GET", f"/{WEBHOOK}/deliveries?limit=5", None),
    (["redeliver", WEBHOOK, DELIVERY], "POST", f"/{WEBHOOK}/deliveries/{DELIVERY}/redeliver", {}),
]
RESPONSE: dict[str, Any] = {
    "items": [],
    "nextCursor": None,
    "webhookId": WEBHOOK,
    "url": "https://a.example/",
    "secret": "whsec_1",
    "previousSecretExpiresAt": "2026-01-02T00:00:00Z",
    "status": "ACTIVE",
    "deliveryId": DELIVERY,
    "eventTypes": None,
}


@pytest.mark.parametrize(("command", "method", "path", "body"), CALLS)
def test_each_command_is_one_request_of_the_api(
    command: list[str], method: str, path: str, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=RESPONSE)

    @contextlib.contextmanager
    def client(user: str | None) -> Iterator[ApiClient]:
        transport = httpx.MockTransport(respond)
        with httpx.Client(transport=transport, base_url="http://api/api/v1/") as http:
            yield ApiClient(http)

    monkeypatch.setattr(webhooks, "client", client)
    done = CliRunner().invoke(app, ["webhook", *command])

    assert done.exit_code == 0, done.output
    (request,) = requests
    assert (request.method, request.url.raw_path.decode()) == (method, f"/api/v1/webhooks{path}")
    assert (json.loads(request.content) if request.content else None) == body
    assert ("idempotency-key" in request.headers) == (command[0] in {"add", "rotate", "trigger"})


def test_a_list_is_a_table_where_nothing_stays_empty() -> None:
    console = Console(width=80, record=True, file=StringIO())
    console.print(
        table_of([{"id": "a", "why": None}, {"id": "b", "why": "GONE"}], {"Id": "id", "Why": "why"})
    )

    assert [line.split() for line in console.export_text().splitlines()] == [
        ["Id", "Why"],
        ["a"],
        ["b", "GONE"],
    ]
