"""The local HTTP APIs treat a page of another origin, and a compressed body, as is needed there."""

import asyncio
from types import ModuleType
from typing import Any

import pytest
from ministack.services import apigateway

from tools.cloud import http_api

CONFIGURATION = {
    "AllowOrigins": ["https://shop.example.com", "http://localhost:*", "http://[::1]:*"],
    "AllowMethods": ["GET", "POST"],
    "AllowHeaders": ["Authorization"],
    "ExposeHeaders": ["Location"],
    "MaxAge": 7200,
}
"""As a template says it."""


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """MiniStack's module with an API, changed as the emulator's process changes it."""
    for name in (
        "_cors_response_headers",
        "_cors_preflight_response",
        "_handle_execute_in_scope",
        "_v2_request_body_is_text",
    ):
        monkeypatch.setattr(apigateway, name, getattr(apigateway, name))
    monkeypatch.setattr(apigateway, "_apis", {"api": {"corsConfiguration": CONFIGURATION}, "plain": {}})
    changed: ModuleType = apigateway
    http_api.install(changed)
    return changed


def ask(gateway: ModuleType, method: str, origin: str, api_id: str = "api") -> tuple[int, dict[str, Any]]:
    """A request for which the API has no route: the gateway itself responds."""
    asked = gateway._handle_execute_in_scope(
        api_id, "$default", "/", method, {"origin": origin}, b"", {}, "000000000000", "us-east-1"
    )
    status, headers, _ = asyncio.run(asked)
    return status, headers


@pytest.mark.parametrize(
    "origin", ["https://shop.example.com", "http://localhost:5173", "http://localhost", "http://[::1]:8080"]
)
def test_an_allowed_origin_may_read_the_gateway_s_own_refusals_and_is_told_so_before(
    gateway: ModuleType, origin: str
) -> None:
    status, headers = ask(gateway, "GET", origin)
    preflight_status, preflight = ask(gateway, "OPTIONS", origin)

    assert (status, preflight_status) == (404, 204)
    for answer in (headers, preflight):
        assert answer["Access-Control-Allow-Origin"] == origin
        assert answer["Access-Control-Expose-Headers"] == "Location"
        assert "Access-Control-Allow-Credentials" not in answer
        assert answer["Vary"] == "Origin"
    assert preflight["Access-Control-Allow-Methods"] == "GET,POST"
    assert preflight["Access-Control-Allow-Headers"] == "Authorization"
    assert preflight["Access-Control-Max-Age"] == "7200"


@pytest.mark.parametrize(
    "origin",
    [
        "https://localhost:5173",
        "http://localhost.example.com",
        "http://localhost:5173.example.com",
        "http://localhost:*",
        "http://localhost:",
        "https://shop.example.com:8443",
        "https://evil.example",
        "null",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_another_origin_gets_no_cors_header(gateway: ModuleType, method: str, origin: str) -> None:
    _, headers = ask(gateway, method, origin)

    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_an_api_without_origins_has_none(gateway: ModuleType) -> None:
    assert "Access-Control-Allow-Origin" not in ask(gateway, "GET", "http://localhost:5173", "plain")[1]


def test_compressed_json_is_handed_over_as_bytes() -> None:
    async def delivered(content_encoding: dict[str, str]) -> bool:
        texts = []

        async def execute(*request: Any) -> http_api.Response:
            texts.append(not http_api._is_compressed.get())
            return 200, {}, b""

        executed = http_api.for_browsers(execute, lambda api_id, origin: {})
        await executed("api", "$default", "/", "POST", content_encoding, b"", {})
        return texts[0]

    assert asyncio.run(delivered({})) is True
    assert asyncio.run(delivered({"Content-Encoding": "gzip"})) is False
