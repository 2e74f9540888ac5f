"""`orders erase-customer`: whom it means, that it asks first, and what it says it did."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli import erasure
from tools.cli.__main__ import app
from tools.client.http import ApiClient

SUB = "0b6f0b1e-0000-4000-8000-000000000001"
COMMAND = ["erase-customer", SUB, "--note", "ticket 4711", "--api-url", "https://api.example", "--token", "x"]
ERASED = {"userId": SUB, "ordersErased": 3, "ordersLeft": 0, "webhooksRemoved": 1, "complete": True}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What the API was asked."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=ERASED)

    @contextlib.contextmanager
    def client(*, default: str) -> Iterator[ApiClient]:
        assert default == "admin"
        transport = httpx.MockTransport(respond)
        with httpx.Client(transport=transport, base_url="http://api/api/v1/") as http:
            yield ApiClient(http)

    monkeypatch.setattr(erasure, "client", client)
    return requests


def test_it_asks_first_and_erases_then(asked: list[httpx.Request]) -> None:
    done = CliRunner().invoke(app, COMMAND, input="y\n")

    assert done.exit_code == 0, done.output
    assert SUB in done.output.splitlines()[0]
    (request,) = asked
    assert (request.method, request.url.path) == ("POST", f"/api/v1/admin/customers/{SUB}/erasure")
    assert json.loads(request.content) == {"note": "ticket 4711"}
    assert "Orders erased: 3; webhooks removed: 1" in done.output


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_without_a_yes_nothing_is_erased(asked: list[httpx.Request], answer: str) -> None:
    assert CliRunner().invoke(app, COMMAND, input=answer).exit_code == 1
    assert asked == []


def test_with_yes_it_does_not_ask(asked: list[httpx.Request]) -> None:
    assert CliRunner().invoke(app, [*COMMAND, "--yes"]).exit_code == 0
    assert len(asked) == 1


def test_it_needs_a_note(asked: list[httpx.Request]) -> None:
    assert CliRunner().invoke(app, ["erase-customer", SUB, "--yes"]).exit_code == 2
    assert asked == []


@pytest.mark.parametrize("customer", ["a/b", "a?b", "a#b", "../orders"])
def test_an_id_is_one_segment_of_the_address(asked: list[httpx.Request], customer: str) -> None:
    CliRunner().invoke(app, ["erase-customer", customer, *COMMAND[2:], "--yes"])

    (request,) = asked
    assert request.url.raw_path.count(b"/") == 6
    assert request.url.query == b""


def test_what_is_left_is_said() -> None:
    left: dict[str, Any] = {**ERASED, "ordersLeft": 2, "complete": False}

    assert "Orders left: 2. Maintenance erases each once it has ended" in " ".join(erasure.summary(left))


def test_an_address_is_known_on_this_machine_only(asked: list[httpx.Request]) -> None:
    done = CliRunner().invoke(app, ["erase-customer", "ada@example.com", *COMMAND[2:], "--yes"])

    assert "name the customer by their id" in str(done.exception)
    assert asked == []
