"""Parses the documentation's routes, returns what the package holds."""

from collections.abc import Mapping
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.api_docs.files import ASSETS, DOCUMENT, Content, content, find_asset, methods_of, page
from orders.contract import API_PREFIX
from orders.errors import AddressNotFound
from orders.http import Api
from orders.observability import instrumented
from orders.openapi import responses
from orders.settings import FunctionSettings

_TYPES: Final = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
_HEADERS: Final = ("ETag", "Cache-Control")
_SHORTLY: Final = {"Cache-Control": "public, max-age=300"}
_FOR_EVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}

# The page may load what this API serves and talk to this API, and nobody may frame it.
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

settings = FunctionSettings.from_environment()
api = Api(methods_of)


@api.get(
    f"{API_PREFIX}/openapi.json",
    compress=True,
    responses=responses(headers=_HEADERS, content={content_types.APPLICATION_JSON: {"type": "object"}}),
)
def get_document() -> Response[str]:
    """This document."""
    return _file(content(DOCUMENT), content_types.APPLICATION_JSON, _SHORTLY)


@api.get(
    f"{API_PREFIX}/docs", responses=responses(headers=_HEADERS, content={"text/html": {"type": "string"}})
)
def get_page() -> Response[str]:
    """The page that shows this document to people."""
    return _file(page(), _TYPES[".html"], {**_SHORTLY, "Content-Security-Policy": _PAGE_POLICY})


@api.get(
    f"{API_PREFIX}/docs/<asset>",
    compress=True,
    responses=responses(
        headers=_HEADERS,
        content={_TYPES[suffix]: {"type": "string"} for suffix in (".css", ".js")},
        errors=[AddressNotFound],
    ),
)
def get_asset(asset: str) -> Response[str]:
    """What that page loads. A name with a digest in it stands for one content, which may be kept for ever."""
    found = find_asset(asset)
    if found is None:
        raise AddressNotFound
    path, is_current = ASSETS[found[0]], found[1]
    return _file(content(path), _TYPES[path.suffix], _FOR_EVER if is_current else _SHORTLY)


def _file(file: Content, media_type: str, headers: Mapping[str, str]) -> Response[str]:
    return Response(
        status_code=200,
        content_type=media_type,
        headers={
            "ETag": file.etag,
            "X-Content-Type-Options": "nosniff",
            **headers,
        },
        body=file.text,
    )


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
