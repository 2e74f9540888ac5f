"""The command line's client of the webhook routes, against an API that a test writes."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from tools.cli.webhooks import table_of
from tools.client.webhook_client import WebhookClient
from tools.errors import LocalCloudError

WEBHOOK = "018f3f7e-0000-7000-8000-000000000001"
DELIVERY = "018f3f7e-0000-7000-8000-000000000002"

CALLS: list[tuple[Callable[[WebhookClient], Any], str, str, Any]] = [
    (
        lambda client: client.add("https://a.example/", "Mine"),
        "POST",
        "",
        {"url": "https://a.example/", "description": "Mine"},
    ),
    (lambda client: client.add("https://a.example/", None), "POST", "", {"url": "https://a.example/"}),
    (lambda client: client.list_all(), "GET", "", None),
    (lambda client: client.remove(WEBHOOK), "DELETE", f"/{WEBHOOK}", None),
    (lambda client: client.rotate(WEBHOOK), "POST", f"/{WEBHOOK}/secret", {}),
    (lambda client: client.enable(WEBHOOK), "POST", f"/{WEBHOOK}/enable", {}),
    (lambda client: client.deliveries(WEBHOOK, 5), "GET", f"/{WEBHOOK}/deliveries?limit=5", None),
    (
        lambda client: client.redeliver(WEBHOOK, DELIVERY),
        "POST",
        f"/{WEBHOOK}/deliveries/{DELIVERY}/redeliver",
        {},
    ),
]


def client_of(respond: Callable[[httpx.Request], httpx.Response]) -> WebhookClient:
    base = "http://api/api/v1/"
    return WebhookClient(httpx.Client(transport=httpx.MockTransport(respond), base_url=base))


@pytest.mark.parametrize(("call", "method", "path", "body"), CALLS)
def test_each_call_is_one_request_of_the_api(
    call: Callable[[WebhookClient], Any], method: str, path: str, body: Any
) -> None:
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"items": [], "nextCursor": None})

    call(client_of(respond))

    (request,) = requests
    assert (request.method, request.url.raw_path.decode()) == (method, f"/api/v1/webhooks{path}")
    assert (json.loads(request.content) if request.content else None) == body


def test_an_api_that_does_not_answer_is_told_so() -> None:
    with (
        pytest.raises(LocalCloudError, match="does not answer"),
        WebhookClient.connect("http://127.0.0.1:9", "token") as client,
    ):
        client.list_all()


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
