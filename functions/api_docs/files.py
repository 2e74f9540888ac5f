"""What this function serves. Everything comes from the deployed package, so nothing is asked of another host."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import aws_lambda_powertools

from orders.conditional import digest

_HERE: Final = Path(__file__).parent
_SWAGGER_UI: Final = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"

DOCUMENT: Final = _HERE / "openapi.json"
PAGE: Final = _HERE / "page" / "index.html"

ASSETS: Final = {
    "page.css": _HERE / "page" / "page.css",
    "start.js": _HERE / "page" / "start.js",
    "swagger-ui.css": _SWAGGER_UI / "swagger-ui.min.css",
    "swagger-ui.js": _SWAGGER_UI / "swagger-ui-bundle.min.js",
}
"""What the page loads, by its name in the address."""


@dataclass(frozen=True)
class Content:
    """A file's text, and an entity tag of it."""

    text: str
    etag: str


@cache
def content(path: Path) -> Content:
    """Read once in a process: what is deployed does not change."""
    return _tagged(path.read_text())


def document(sign_in: Mapping[str, str]) -> Content:
    """The API's document, which says where callers of this stage sign in."""
    made = json.loads(content(DOCUMENT).text)
    (scheme,) = made["components"]["securitySchemes"].values()
    scheme["x-cognito"] = dict(sign_in)
    return _tagged(json.dumps(made, ensure_ascii=False))


def _tagged(text: str) -> Content:
    return Content(text, f'"{digest(text)}"')


def versioned(asset: str) -> str:
    """The asset's name with a digest of its content, e.g. `start.8d5f….js`: what has this name never changes."""
    stem, _, suffix = asset.rpartition(".")
    return f"{stem}.{content(ASSETS[asset]).etag[1:-1]}.{suffix}"


def find_asset(name: str) -> tuple[str, bool] | None:
    """The asset of a name, and whether the name is of today's content; None if there is no such asset. A page from
    before a deploy asks for an earlier content."""
    for asset in ASSETS:
        stem, _, suffix = asset.rpartition(".")
        if name == asset or re.fullmatch(rf"{re.escape(stem)}\.[0-9a-f]{{32}}\.{suffix}", name):
            return asset, name == versioned(asset)
    return None


@cache
def page() -> Content:
    """The page, which loads its assets by names that may be kept for ever."""
    text = re.sub(r"(?<=\"docs/)[^\"]+", lambda name: versioned(name[0]), content(PAGE).text)
    return _tagged(text)


def methods_of(path: str) -> list[str]:
    """The methods that the document names for a path of a request, sorted; none if it knows no such path."""
    found = {method for pattern, methods in _paths() if pattern.fullmatch(path) for method in methods}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


@cache
def _paths() -> list[tuple[re.Pattern[str], frozenset[str]]]:
    return [
        (_pattern(template), frozenset(method.upper() for method in item))
        for template, item in json.loads(content(DOCUMENT).text)["paths"].items()
    ]


def _pattern(template: str) -> re.Pattern[str]:
    """`/orders/{orderId}` matches whatever is one segment."""
    literals = re.split(r"{\w+}", template)
    return re.compile("[^/]+".join(map(re.escape, literals)))
