"""Serves the console's page and what it loads, from the deployed package."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.console.settings import Settings
from orders.contract import API_PREFIX
from orders.errors import AddressNotFound
from orders.http import Api
from orders.observability import instrumented
from orders.openapi import responses
from orders.static_files import MEDIA_TYPES, SHORTLY, Content, ModuleSite, respond

_PAGE: Final = Path(__file__).parent / "page"
SITE: Final = ModuleSite(
    "console",
    page=_PAGE / "index.html",
    assets={path.name: path for path in sorted(_PAGE.iterdir()) if path.suffix != ".html"},
)
"""Libraries and the state machine's definition are links in the sources, and files in the package."""

_HEADERS: Final = {
    **SHORTLY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

settings = Settings.from_environment()
api = Api()


@cache
def the_page() -> Content:
    """Made at the first request for it."""
    return SITE.render({"configuration": settings.configuration})


@api.get(f"{API_PREFIX}/console", compress=True, responses=responses())
def get_console() -> Response[str]:
    """The page of operators."""
    return respond(
        the_page(), MEDIA_TYPES[".html"], {**_HEADERS, "Content-Security-Policy": settings.page_policy}
    )


@api.get(f"{API_PREFIX}/console/<asset>", compress=True, responses=responses(errors=[AddressNotFound]))
def get_console_asset(asset: str) -> Response[str]:
    """What that page loads."""
    return SITE.respond(asset)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return api.resolve(event, context)
