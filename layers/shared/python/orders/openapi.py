"""What a route says of its responses in the OpenAPI document, where its signature does not tell.

Only what is the route's own. What is true of every route is added where the document is made: who may call it, its
correlation id, what the gateway refuses, what makes a body or a parameter unacceptable, a database that is away.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from orders import problem
from orders.contract import API_PREFIX, NEXT_CURSOR_HEADER
from orders.errors import OrdersError

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse, OpenAPIResponseHeader

PROBLEM_SCHEMA: Final = "#/components/schemas/Problem"

_HEADERS: Final[dict[str, "OpenAPIResponseHeader"]] = {
    "Cache-Control": {"description": "How long the response may be kept", "schema": {"type": "string"}},
    "ETag": {
        "description": "Stands for what the response says: send it as `If-None-Match` with the next request",
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "Present if an earlier request with the same key was accepted: this is its response",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "The address of what was made",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    NEXT_CURSOR_HEADER: {
        "description": "With CSV: the `cursor` of what follows; absent if nothing does",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again",
        "schema": {"type": "integer", "minimum": 1},
    },
}


def responses(
    status: HTTPStatus = HTTPStatus.OK,
    *,
    headers: Iterable[str] = (),
    content: Mapping[str, Mapping[str, Any]] | None = None,
    errors: Iterable[type[OrdersError]] = (),
) -> dict[int, "OpenAPIResponse"]:
    """The `responses` of a route: its success, whose body is what the route function returns, and the errors
    that only it raises.

    `content` are schemas by media type, for a body that the function's signature does not describe. With the header
    `ETag` comes a 304. Success without a body is 204.
    """
    success: OpenAPIResponse = {
        "description": status.phrase,
        "headers": {name: _HEADERS[name] for name in headers},
    }
    if content is not None or status == HTTPStatus.NO_CONTENT:
        success["content"] = {name: {"schema": dict(schema)} for name, schema in (content or {}).items()}
    documented: dict[int, OpenAPIResponse] = {status.value: success}
    if "ETag" in success["headers"]:
        documented[HTTPStatus.NOT_MODIFIED.value] = {
            "description": "Nothing has changed since `If-None-Match`",
            "headers": success["headers"],
            "content": {},
        }
    return documented | problems(problem.kind_for(error) for error in errors)


def problems(kinds: Iterable[problem.Kind]) -> dict[int, "OpenAPIResponse"]:
    """Error responses by status; kinds with a common status are examples of one response."""
    by_status: dict[int, list[problem.Kind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _problem_response(alike) for status, alike in by_status.items()}


def _problem_response(kinds: list[problem.Kind]) -> "OpenAPIResponse":
    response: OpenAPIResponse = {
        "description": "; or: ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {
            problem.CONTENT_TYPE: {
                "schema": {"$ref": PROBLEM_SCHEMA},
                "examples": {kind.name: _example(kind) for kind in kinds},
            }
        },
    }
    if any(kind.retry_after or kind.status == HTTPStatus.TOO_MANY_REQUESTS for kind in kinds):
        response["headers"] = {"Retry-After": _HEADERS["Retry-After"]}
    return response


def _example(kind: problem.Kind) -> dict[str, Any]:
    value = {
        "type": problem.TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.example or kind.title,
        "instance": f"{API_PREFIX}/…",
        "correlationId": "0198f3a1-7c1e-7b52-9d0e-3f6a5b8c9d10",
        **kind.members,
    }
    return {"summary": kind.title, "value": value}
