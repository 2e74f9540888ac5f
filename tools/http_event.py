"""The events that API Gateway sends to a function."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl


def http_event(
    method: str,
    path: str,
    *,
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    user_id: str | None = "user-1",
    groups: Any = None,
) -> dict[str, Any]:
    """An API Gateway HTTP API event (payload 2.0). A body in bytes arrives in base64, as binary media types do.

    `groups` is the claim of the caller's groups, as the gateway writes a list: `[admin]`. The key of the route is the
    one that takes every path.
    """
    # Not by urllib, which drops what does not belong into an address.
    path, _, query = path.partition("?")
    claims = {"sub": user_id} | ({"cognito:groups": groups} if groups is not None else {})
    authorizer = {"jwt": {"claims": claims, "scopes": ["aws.cognito.signin.user.admin"]}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in (headers or {}).items()},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "domainName": "api.example",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "tests",
            },
            "requestId": "request-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600000,
            **({"authorizer": authorizer} if user_id is not None else {}),
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if query:
        parameters: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameters.setdefault(name, []).append(value)
        event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event
