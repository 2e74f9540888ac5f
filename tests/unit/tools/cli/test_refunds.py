"""`orders refund` and `orders refunds`: what they ask of the API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli import refunds
from tools.client.http import ApiClient

ORDER = "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10"
REFUND = {
    "refundId": "0198f4b2-1d3e-7a61-8c2f-5b4a3c2d1e0f",
    "orderId": ORDER,
    "status": "REQUESTED",
    "amount": 1250,
    "currency": "USD",
    "lines": [],
    "reason": "broken",
    "error": None,
    "updatedAt": "2026-11-24T10:15:30Z",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        body: dict[str, Any] = REFUND
        if request.method == "GET":
            body = {"items": [REFUND], "nextCursor": None}
        elif request.url.path.endswith("/resume"):
            body = {"refund": REFUND, "execution": "refund-1-r1", "started": True}
        return httpx.Response(202, json=body)

    @contextmanager
    def client(default: str) -> Iterator[ApiClient]:
        assert default == "admin"
        transport = httpx.MockTransport(answer)
        yield ApiClient(httpx.Client(base_url="https://api.example/api/v1/", transport=transport))

    monkeypatch.setattr(refunds, "client", client)
    return requests


def run(*words: str) -> Any:
    return CliRunner().invoke(refunds.app, list(words))


def test_lines_are_asked_for_under_a_key(asked: list[httpx.Request]) -> None:
    result = run("refund", ORDER, "--reason", "broken", "--line", "p=2", "--restock", "--key", "key-1")

    assert result.exit_code == 0, result.output
    (request,) = asked
    assert request.url.path == f"/api/v1/admin/orders/{ORDER}/refunds"
    assert request.headers["Idempotency-Key"] == "key-1"
    assert json.loads(request.content) == {
        "reason": "broken",
        "lines": [{"productId": "p", "quantity": 2}],
        "restock": True,
    }


def test_an_amount_and_everything_are_asked_for(asked: list[httpx.Request]) -> None:
    run("refund", ORDER, "--reason", "late", "--amount", "500")
    run("refund", ORDER, "--reason", "recall")

    assert [json.loads(request.content) for request in asked] == [
        {"reason": "late", "amount": 500},
        {"reason": "recall"},
    ]
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 2


@pytest.mark.parametrize("words", [["--line", "p"], ["--line", "p=x"], ["--line", "p=1", "--amount", "5"]])
def test_what_makes_no_sense_is_not_asked_for(asked: list[httpx.Request], words: list[str]) -> None:
    assert run("refund", ORDER, "--reason", "x", *words).exit_code == 2
    assert asked == []


def test_refunds_are_listed_resumed_and_rejected(asked: list[httpx.Request]) -> None:
    for words in (
        ["refunds"],
        ["refunds", ORDER],
        ["refund-resume", ORDER, "r"],
        ["refund-reject", ORDER, "r", "-n", "x"],
    ):
        assert run(*words).exit_code == 0

    assert [request.url.path.removeprefix("/api/v1/admin") for request in asked] == [
        "/refunds",
        f"/orders/{ORDER}/refunds",
        f"/orders/{ORDER}/refunds/r/resume",
        f"/orders/{ORDER}/refunds/r/reject",
    ]
