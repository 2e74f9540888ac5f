"""HTTP APIs of the emulator as a page in a browser, and a client that compresses, need them.

MiniStack keeps a template's CORS configuration under names that it does not look for, and compares an origin with the
allowed ones by their text only. Its own refusals (401 without a token) have no CORS headers, so that a browser hides
them from the page. And it hands JSON over as text even if it is compressed, which destroys it.
"""

import re
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Final

Response = tuple[int, dict[str, Any], bytes]
Configuration = dict[str, Any] | None
"""The API's `CorsConfiguration`; its names begin with a capital letter if it comes from a template."""
CorsHeaders = Callable[[Configuration, str], dict[str, str]]
Execute = Callable[..., Awaitable[Response]]

_PORT: Final = re.compile(r":[0-9]+$")
_is_compressed: Final = ContextVar("is_compressed", default=False)


def install(apigateway: ModuleType) -> None:
    """Changes MiniStack's module of HTTP APIs."""
    cors_headers = with_any_port(apigateway._cors_response_headers)
    preflight = apigateway._cors_preflight_response
    configured = apigateway._apis.get
    is_text = apigateway._v2_request_body_is_text
    apigateway._cors_response_headers = cors_headers  # type: ignore[attr-defined]
    apigateway._cors_preflight_response = lambda configuration, origin: preflight(  # type: ignore[attr-defined]
        _as_of_the_api(configuration), origin
    )
    apigateway._handle_execute_in_scope = for_browsers(  # type: ignore[attr-defined]
        apigateway._handle_execute_in_scope,
        lambda api_id, origin: cors_headers((configured(api_id) or {}).get("corsConfiguration"), origin),
    )
    apigateway._v2_request_body_is_text = lambda media_type: (  # type: ignore[attr-defined]
        not _is_compressed.get() and is_text(media_type)
    )


def with_any_port(cors_headers: CorsHeaders) -> CorsHeaders:
    """The CORS headers of a response, where an allowed origin may end with `:*`."""

    def headers(configuration: Configuration, origin: str) -> dict[str, str]:
        configuration = _as_of_the_api(configuration)
        if "*" in origin:
            return {}
        if f"{_PORT.sub('', origin)}:*" in configuration.get("allowOrigins", ()):
            configuration = {**configuration, "allowOrigins": [origin]}
        found = cors_headers(configuration, origin)
        # The function's own says more.
        found.pop("Vary", None)
        return found

    return headers


def for_browsers(execute: Execute, cors_headers: Callable[[str, str], dict[str, str]]) -> Execute:
    """Executes a request; each response has the CORS headers of its origin, and a compressed body arrives whole."""

    async def executed(
        api_id: str, stage: str, path: str, method: str, headers: dict[str, str], *others: Any
    ) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        _is_compressed.set("content-encoding" in sent)
        status, response_headers, body = await execute(api_id, stage, path, method, headers, *others)
        added = cors_headers(api_id, sent.get("origin", ""))
        return status, {"Vary": "Origin", **response_headers, **added}, body

    return executed


def _as_of_the_api(configuration: Configuration) -> dict[str, Any]:
    return {f"{name[0].lower()}{name[1:]}": value for name, value in (configuration or {}).items()}
