"""`orders cancel`: that it asks first, what it says, and how it ends."""

import json

import pytest

from tests.unit.tools.cli.conftest import FakeApi, Shell

ORDER = "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10"
PATH = f"/orders/{ORDER}/cancellation"
REFUND = "0198f3a1-9a00-7b52-9d0e-3f6a5b8c9d10"
REFUNDING = {
    "orderId": ORDER,
    "status": "CONFIRMED",
    "outcome": "REFUNDING",
    "refundId": REFUND,
    "requestedAt": "2026-11-24T12:00:00Z",
}
TOO_LATE = {
    "type": "https://orders.example/problems/cancellation-closed",
    "title": "The order cannot be cancelled any more",
    "status": 409,
    "detail": "The order could be cancelled until 2026-11-24T12:30:00Z",
    "possibleUntil": "2026-11-24T12:30:00Z",
}


def test_without_a_yes_nothing_is_cancelled(api: FakeApi, shell: Shell) -> None:
    done = shell.start_and_end("cancel", ORDER)

    assert done.returncode == 1
    assert f"Cancel order {ORDER}?".encode() in done.stdout
    assert api.asked == []


def test_a_refund_is_named(api: FakeApi, shell: Shell) -> None:
    api.responses[("POST", PATH)] = REFUNDING

    done = shell.orders("cancel", ORDER, "--yes")

    assert done.returncode == 0
    assert f"Order {ORDER} was confirmed, and is refunded: {REFUND}" in done.stdout.decode()
    assert [(request.method, request.path) for request in api.asked] == [("POST", PATH)]


def test_an_operator_says_why(api: FakeApi, shell: Shell) -> None:
    api.responses[("POST", PATH)] = REFUNDING

    shell.orders("cancel", ORDER, "--yes", "--note", "asked on the telephone")

    (asked,) = api.asked
    assert asked.body == {"note": "asked on the telephone"}


def test_the_document_is_the_api_s(api: FakeApi, shell: Shell) -> None:
    api.responses[("POST", PATH)] = REFUNDING

    done = shell.orders("cancel", ORDER, "--yes", "--json")

    assert json.loads(done.stdout) == REFUNDING


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_who_is_too_late_is_told_until_when_it_was_possible(
    api: FakeApi, shell: Shell, options: list[str]
) -> None:
    api.responses[("POST", PATH)] = (409, "application/problem+json", json.dumps(TOO_LATE))

    done = shell.orders("cancel", ORDER, "--yes", *options)

    assert done.returncode == 3
    assert done.stdout == b""
    assert "2026-11-24T12:30:00Z" in done.stderr.decode()
    if options:
        problem = json.loads(done.stderr.decode().splitlines()[-1])
        assert problem["possibleUntil"] == TOO_LATE["possibleUntil"]
