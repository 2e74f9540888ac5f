"""`orders smoke` looks at a deployed stage from outside: what it finds is a line, and an exit code."""

import json
from typing import Any
from uuid import UUID

import pytest

from tests.unit.tools.cli.conftest import TOKEN, FakeApi, Request, Shell

ORDER = UUID(int=7)
STATUS = f"/orders/{ORDER}/status"
PRODUCT = UUID(int=1)
SHOP = "https://shop.example"
JSON, PROBLEM = "application/json", "application/problem+json"
SAFE = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
WITHOUT_TOKEN = {
    "Lives",
    "Database",
    "Document",
    "Page of the document",
    "No token",
    "False token",
    "Headers",
}


def lacks_token(request: Request) -> bool:
    """A request of a customer's route without the test's token."""
    is_open = request.path.startswith(("/health", "/openapi", "/docs", "/products"))
    is_for_browsers = request.method == "OPTIONS"
    return not is_open and not is_for_browsers and request.headers.get("authorization") != f"Bearer {TOKEN}"


def progress(status: str) -> dict[str, Any]:
    return {"orderId": str(ORDER), "status": status, "progress": 0, "steps": []}


@pytest.fixture
def stage(api: FakeApi) -> FakeApi:
    """A deployed stage that is as it should be, for whoever has the test's token."""
    api.refuses = lacks_token
    api.headers = dict(SAFE)
    item = {
        "productId": str(PRODUCT),
        "name": "Mug",
        "unitPrice": 900,
        "currency": "USD",
        "available": 3,
        "active": True,
    }
    order = {
        "orderId": str(ORDER),
        "status": "PENDING",
        "totalAmount": 900,
        "currency": "USD",
        "createdAt": "2026-01-01T00:00:00Z",
    }
    api.responses |= {
        ("GET", "/health/live"): {"status": "live"},
        ("GET", "/health/ready"): {"status": "ready"},
        ("GET", "/openapi.json"): {"openapi": "3.1.0", "paths": {"/api/v1/orders": {}}},
        ("GET", "/docs"): (200, "text/html; charset=utf-8", "<!doctype html>"),
        ("GET", "/products"): {
            "items": [{**item, "available": 0, "productId": str(UUID(int=9))}, item],
            "nextCursor": None,
        },
        ("GET", "/orders"): {"items": [], "nextCursor": None},
        ("POST", "/orders"): (202, JSON, json.dumps(order)),
        ("GET", STATUS): progress("CONFIRMED"),
        ("OPTIONS", "/orders"): (204, JSON, ""),
    }
    return api


def smoke(shell: Shell, api: FakeApi, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the checks by name."""
    done = shell.orders("smoke", "--api", api.url, "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, {result["check"]: result for result in json.loads(done.stdout)["checks"]}


def with_token(stage: FakeApi) -> list[Request]:
    """What it was asked by whoever has a token."""
    return [request for request in stage.asked if TOKEN in request.headers.get("authorization", "")]


@pytest.fixture
def stranger(shell: Shell) -> Shell:
    """Somebody without a token."""
    del shell.environment["ORDERS_TOKEN"]
    return shell


def test_a_stage_that_works_passes_without_a_token(stranger: Shell, stage: FakeApi) -> None:
    code, results = smoke(stranger, stage)

    assert code == 0, results
    assert set(results) == {*WITHOUT_TOKEN, "Unknown origin"}
    assert not with_token(stage)


def test_with_a_token_it_reads_and_orders_nothing(shell: Shell, stage: FakeApi) -> None:
    code, results = smoke(shell, stage)

    assert code == 0, results
    assert {"Catalogue", "Own orders"} <= set(results)
    assert {request.method for request in with_token(stage)} == {"GET"}


def test_an_order_is_placed_and_followed_to_its_end(shell: Shell, stage: FakeApi) -> None:
    code, results = smoke(shell, stage, "--place", "--email", "me@shop.example")

    assert code == 0, results
    assert results["Order"]["detail"] == f"Order {ORDER} is CONFIRMED."
    (placed,) = [request for request in with_token(stage) if request.method == "POST"]
    assert placed.body["items"] == [{"productId": str(PRODUCT), "quantity": 1}]
    assert placed.body["contact"]["email"] == "me@shop.example"


@pytest.mark.parametrize(("end", "seconds"), [("CANCELLED", "120"), ("PROCESSING", "1")])
def test_an_order_that_is_not_confirmed_fails(shell: Shell, stage: FakeApi, end: str, seconds: str) -> None:
    stage.responses["GET", STATUS] = progress(end)

    code, results = smoke(shell, stage, "--place", "--email", "me@shop.example", "--seconds", seconds)

    assert code == 1
    assert not results["Order"]["ok"]
    assert end in results["Order"]["detail"]


def test_an_order_needs_somebody_to_order(stranger: Shell, stage: FakeApi) -> None:
    done = stranger.orders("smoke", "--api", stage.url, "--place")
    assert done.returncode == 2
    assert "--token" in done.stderr.decode()
    assert not stage.asked


@pytest.mark.parametrize(
    ("route", "response", "check", "said"),
    [
        (
            ("GET", "/health/ready"),
            (503, PROBLEM, '{"type": "x", "title": "Unavailable"}'),
            "Database",
            "503",
        ),
        (("GET", "/health/ready"), {"status": "starting"}, "Database", "starting"),
        (("GET", "/openapi.json"), {"openapi": "3.0.0", "paths": {}}, "Document", "3.1"),
        (("GET", "/openapi.json"), (200, "text/html", "<p>"), "Document", "no object"),
        (("GET", "/docs"), (200, JSON, "{}"), "Page of the document", "no page"),
        (("GET", "/products"), {"items": [], "nextCursor": None}, "Catalogue", "empty"),
        (("GET", "/orders"), (401, PROBLEM, '{"type": "x", "title": "Unauthorized"}'), "Own orders", "401"),
    ],
)
def test_what_is_wrong_is_told_and_stops_no_other_check(
    shell: Shell, stage: FakeApi, route: tuple[str, str], response: Any, check: str, said: str
) -> None:
    stage.responses[route] = response

    code, results = smoke(shell, stage)

    assert code == 1
    assert {name for name, result in results.items() if not result["ok"]} == {check}
    assert said in results[check]["detail"]


def test_an_api_that_asks_for_no_token_fails(stranger: Shell, stage: FakeApi) -> None:
    stage.refuses = lambda request: False

    code, results = smoke(stranger, stage)

    assert code == 1
    assert {name for name, result in results.items() if not result["ok"]} == {"No token", "False token"}
    assert "202" in results["No token"]["detail"]


def test_a_header_that_is_missing_is_named(shell: Shell, stage: FakeApi) -> None:
    del stage.headers["Strict-Transport-Security"]
    code, results = smoke(shell, stage)
    assert code == 1
    assert "no Strict-Transport-Security" in results["Headers"]["detail"]


@pytest.mark.parametrize(("allowed", "check"), [(SHOP, None), ("*", "Unknown origin"), (None, "Origin")])
def test_pages_of_the_named_origin_may_call_it_and_no_others(
    shell: Shell, stage: FakeApi, allowed: str | None, check: str | None
) -> None:
    if allowed:
        stage.headers["Access-Control-Allow-Origin"] = allowed

    code, results = smoke(shell, stage, "--origin", SHOP)

    failed = {name for name, result in results.items() if not result["ok"]}
    assert (code == 0) == (check is None)
    assert check is None or check in failed


def test_people_read_a_line_for_each_check(stranger: Shell, stage: FakeApi) -> None:
    done = stranger.orders("smoke", "--api", stage.url)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == f" ✓ {'Lives':<21}health/live says live."
    assert lines[-1] == "The stage works."


def test_nothing_that_answers_is_told_once(stranger: Shell, nobody: str) -> None:
    done = stranger.orders("smoke", "--api", nobody)
    assert done.returncode == 4
    assert "does not answer" in done.stderr.decode()
