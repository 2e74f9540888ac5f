"""HEAD (RFC 9110, section 9.3.2): the headers of what GET returns, without its content."""

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


def as_get(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The HTTP API event of the GET that a HEAD stands for."""
    context = event["requestContext"]
    return {**event, "requestContext": {**context, "http": {**context["http"], "method": "GET"}}}


def without_content(response: dict[str, Any]) -> dict[str, Any]:
    """The response to GET without its content, whose length is told."""
    if response["statusCode"] == HTTPStatus.NOT_MODIFIED:
        return response
    body = response["body"] or ""
    length = len(base64.b64decode(body) if response["isBase64Encoded"] else body.encode())
    headers = {**response["headers"], "Content-Length": str(length)}
    return {**response, "headers": headers, "body": "", "isBase64Encoded": False}
