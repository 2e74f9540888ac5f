"""What is true of every route, or of every route of a kind, and so is said once and not at each."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from infra.constructs.api import WITHOUT_DATABASE, Route
from orders import errors, problem
from orders.contract import ADMIN_GROUP, API_PREFIX
from orders.http import ADMIN_PATHS
from orders.observability import CORRELATION_HEADER
from orders.openapi import problems
from orders.request_body import METHODS_WITH_BODY
from tools.openapi.examples import CORRELATION_ID

Responses = dict[str, Any]
"""By status, which is text in JSON."""

SECURITY_SCHEME: Final = "accessToken"
GATEWAY_SCHEMA: Final = "GatewayMessage"
CORRELATION_COMPONENT: Final = "CorrelationId"

TAGS: Final = {
    "orders": ("Orders", "Place orders and follow them. A caller sees their own orders only."),
    "products": ("Catalogue", "What can be ordered, for how much, and how many of it there are."),
    "recipients": (
        "Recipients",
        "Where messages about orders may go: the account's verified address, and what is confirmed here.",
    ),
    "webhooks": ("Webhooks", "Signed calls to the customer's own endpoints when an order ends."),
    "admin": ("Administration", "For members of the group `admin`."),
    "health": ("Health", "Whether the API works."),
    "metrics": ("Metrics", "What a Prometheus server reads."),
    "docs": ("Documentation", "This document, and a page that shows it."),
}
"""By the first segment of the path."""
_OTHER_SEGMENTS: Final = {"openapi.json": "docs"}

_CORRELATION: Final[dict[str, Any]] = {
    "description": "The id under which everything that this request caused is logged",
    "schema": {"type": "string"},
}
_UNLESS_GATEWAY: Final = "CorrelationIdUnlessGateway"

_SIGN_IN: Final = """
An access token of the Cognito user pool; it lives 15 minutes, and an ID token is refused. A client signs in with
Cognito's own `InitiateAuth` (flow `USER_PASSWORD_AUTH` or `USER_SRP_AUTH`) and sends the `AccessToken` of the response:

    curl ENDPOINT -H 'Content-Type: application/x-amz-json-1.1' \\
      -H 'X-Amz-Target: AWSCognitoIdentityProviderService.InitiateAuth' \\
      -d '{"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": "CLIENT_ID",
           "AuthParameters": {"USERNAME": "you@example.com", "PASSWORD": "…"}}'

`x-cognito` of this scheme names endpoint, user pool and client of the stage that serves this document. The page at
`/api/v1/docs` signs in by itself; on the local cloud `bin/orders token` prints a token too.
""".strip()

COMPONENTS: Final[dict[str, Any]] = {
    "securitySchemes": {
        SECURITY_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": _SIGN_IN,
        }
    },
    "headers": {
        CORRELATION_COMPONENT: _CORRELATION | {"required": True},
        _UNLESS_GATEWAY: _CORRELATION
        | {"description": f"{_CORRELATION['description']}; not from API Gateway"},
    },
    "parameters": {
        CORRELATION_COMPONENT: {
            "name": CORRELATION_HEADER,
            "in": "header",
            "required": False,
            "description": "An id of the caller's for logs, events and answers: 8 to 64 characters of "
            "`A-Za-z0-9._-`. Anything else is replaced by a new one.",
            "schema": {"type": "string", "examples": [CORRELATION_ID]},
        },
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "The `ETag` of an earlier answer: while nothing has changed, the new one is a 304",
            "schema": {"type": "string"},
        },
    },
    "schemas": {
        GATEWAY_SCHEMA: {
            "description": "What API Gateway itself answers, before or instead of the API",
            "type": "object",
            "properties": {"message": {"type": ["string", "null"]}},
            "required": ["message"],
        }
    },
}

_BODY_REFUSALS: Final = (
    errors.MalformedRequest,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.UnsupportedContentCoding,
)


def tag(route: Route) -> str:
    segment = route.path.split("/")[1]
    known = _OTHER_SEGMENTS.get(segment, segment)
    if known not in TAGS:
        raise ValueError(
            f"{route.path} belongs under no heading: add {segment!r} to tools.openapi.common.TAGS"
        )
    return TAGS[known][0]


def security(route: Route) -> list[dict[str, list[str]]]:
    return [] if route.is_open else [{SECURITY_SCHEME: []}]


def operation_id(route: Route, own: str) -> str:
    """Customers and administrators may have operations of one name in two functions."""
    return f"admin{own[0].upper()}{own[1:]}" if _is_for_administrators(route) else own


def description(route: Route, said: str) -> str:
    return f"{said} Only for members of the group `{ADMIN_GROUP}`." if _is_for_administrators(route) else said


def _is_for_administrators(route: Route) -> bool:
    return f"{API_PREFIX}{route.path}".startswith(ADMIN_PATHS)


def all_responses(route: Route, own: Responses) -> Responses:
    """The route's own responses and those that every route of its kind may give.

    Every response of ours has a correlation id. The gateway knows nothing of it: where both may respond it is optional.
    """
    kinds = [problem.UNEXPECTED, problem.INVALID]
    gateway = [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE]
    if route.method.value in METHODS_WITH_BODY:
        kinds += map(problem.kind_for, _BODY_REFUSALS)
        gateway.append(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if route.function not in WITHOUT_DATABASE:
        kinds.append(problem.kind_for(errors.DatabaseUnavailable))
    if not route.is_open:
        gateway += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if _is_for_administrators(route):
        kinds.append(problem.kind_for(errors.AdministratorsOnly))
    shared = {str(status): dict(response) for status, response in problems(kinds).items()}
    from_gateway = {str(status.value): _gateway_response(status) for status in gateway}
    ours = {
        status: _with_correlation(
            response, CORRELATION_COMPONENT if status not in from_gateway else _UNLESS_GATEWAY
        )
        for status, response in _merged(own, shared).items()
    }
    return _merged(ours, from_gateway)


def _with_correlation(response: Mapping[str, Any], component: str) -> dict[str, Any]:
    header = {CORRELATION_HEADER: {"$ref": f"#/components/headers/{component}"}}
    return {**response, "headers": {**response.get("headers", {}), **header}}


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Responses:
    """Both sets of responses; what they say of one status becomes one response."""
    return {
        status: _one(*(responses[status] for responses in (first, second) if status in responses))
        for status in sorted({**first, **second})
    }


def _one(*responses: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    for response in responses:
        headers |= response.get("headers", {})
        for media_type, said in response.get("content", {}).items():
            examples = content.get(media_type, {}).get("examples", {}) | said.get("examples", {})
            content[media_type] = said | ({"examples": examples} if examples else {})
    one: dict[str, Any] = {"description": _alternatives(response["description"] for response in responses)}
    if headers:
        one["headers"] = headers
    if content:
        one["content"] = content
    return one


def _alternatives(descriptions: Iterable[str]) -> str:
    separator = "; or: "
    parts = (part for description in descriptions for part in description.split(separator))
    return separator.join(dict.fromkeys(parts))


def _gateway_response(status: HTTPStatus) -> dict[str, Any]:
    example = {"summary": "From API Gateway", "value": {"message": status.phrase}}
    return {
        "description": status.phrase,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{GATEWAY_SCHEMA}"},
                "examples": {"gateway": example},
            }
        },
    }
