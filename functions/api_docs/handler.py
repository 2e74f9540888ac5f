"""Parses the documentation's routes, returns what the package holds."""

from functools import cache
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.api_docs.files import SITE, document, methods_of
from orders.contract import API_PREFIX
from orders.errors import AddressNotFound
from orders.http import Api
from orders.observability import instrumented
from orders.openapi import responses
from orders.settings import SignInSettings
from orders.static_files import MEDIA_TYPES, SHORTLY, Content, respond

_HEADERS: Final = ("ETag", "Cache-Control")

settings = SignInSettings.from_environment()
api = Api(methods_of)


@cache
def the_document() -> Content:
    """Made at the first request for it: most cold starts are for something else."""
    return document(settings.sign_in)


def page_policy() -> str:
    """The page may load what this API serves, and talk to this API and to Cognito. Nobody may frame it."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; "
        f"connect-src 'self' {settings.sign_in['endpoint']}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@api.get(
    f"{API_PREFIX}/openapi.json",
    compress=True,
    responses=responses(headers=_HEADERS, content={content_types.APPLICATION_JSON: {"type": "object"}}),
)
def get_document() -> Response[str]:
    """This document."""
    return respond(the_document(), content_types.APPLICATION_JSON)


@api.get(
    f"{API_PREFIX}/docs", responses=responses(headers=_HEADERS, content={"text/html": {"type": "string"}})
)
def get_page() -> Response[str]:
    """The page that shows this document to people."""
    return respond(SITE.render(), MEDIA_TYPES[".html"], {**SHORTLY, "Content-Security-Policy": page_policy()})


@api.get(
    f"{API_PREFIX}/docs/<asset>",
    compress=True,
    responses=responses(
        headers=_HEADERS,
        content={MEDIA_TYPES[suffix]: {"type": "string"} for suffix in (".css", ".js")},
        errors=[AddressNotFound],
    ),
)
def get_asset(asset: str) -> Response[str]:
    """What that page loads. A name with a digest in it stands for one content, which may be kept for ever."""
    return SITE.respond(asset)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
