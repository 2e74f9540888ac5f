"""`orders addresses …`: an address is one segment of the request's path, and allowing one needs a note."""

import contextlib
from collections.abc import Iterator

import httpx
import pytest
from typer.testing import CliRunner

from tools.cli import addresses
from tools.client.http import ApiClient

FOUND = {"address": None, "reason": "COMPLAINED", "orderId": None, "since": "2026-01-01T12:00:00Z"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """What the API was asked."""
    requests: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=FOUND)

    @contextlib.contextmanager
    def client(*, default: str) -> Iterator[ApiClient]:
        assert default == "admin"
        transport = httpx.MockTransport(respond)
        with httpx.Client(transport=transport, base_url="http://api/api/v1/") as http:
            yield ApiClient(http)

    monkeypatch.setattr(addresses, "client", client)
    return requests


def test_an_address_whose_text_is_erased_is_shown_as_it_was_asked_for(asked: list[httpx.Request]) -> None:
    done = CliRunner().invoke(addresses.app, ["show", "ada@example.com"])

    assert done.exit_code == 0, done.output
    assert "ada@example.com" in done.output
    assert "COMPLAINED" in done.output
    assert asked[0].url.path == "/api/v1/admin/suppressed-addresses/ada@example.com"


def test_allowing_says_why(asked: list[httpx.Request]) -> None:
    done = CliRunner().invoke(
        addresses.app, ["allow", "ada+news@example.com", "-n", "the mailbox works again"]
    )

    assert done.exit_code == 0, done.output
    (request,) = asked
    assert request.method == "DELETE"
    assert request.url.raw_path.partition(b"?")[0].endswith(b"/suppressed-addresses/ada%2Bnews@example.com")
    assert dict(request.url.params) == {"note": "the mailbox works again"}


def test_without_a_note_nothing_is_allowed(asked: list[httpx.Request]) -> None:
    assert CliRunner().invoke(addresses.app, ["allow", "ada@example.com"]).exit_code == 2
    assert asked == []


@pytest.mark.parametrize("address", ["a/b@example.com", "a?b@example.com", "a#b@example.com", "../orders"])
def test_an_address_is_one_segment_of_the_path(asked: list[httpx.Request], address: str) -> None:
    CliRunner().invoke(addresses.app, ["show", address])

    (request,) = asked
    assert request.url.raw_path.count(b"/") == 5
    assert request.url.query == b""
