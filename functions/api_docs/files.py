"""What this function serves. Everything comes from the deployed package, so nothing is asked of another host."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import aws_lambda_powertools

from orders.static_files import Content, Site, content, tagged

_HERE: Final = Path(__file__).parent
_SWAGGER_UI: Final = Path(aws_lambda_powertools.__file__).parent / "event_handler" / "openapi" / "swagger_ui"

DOCUMENT: Final = _HERE / "openapi.json"
SITE: Final = Site(
    "docs",
    page=_HERE / "page" / "index.html",
    assets={
        "page.css": _HERE / "page" / "page.css",
        "start.js": _HERE / "page" / "start.js",
        "swagger-ui.css": _SWAGGER_UI / "swagger-ui.min.css",
        "swagger-ui.js": _SWAGGER_UI / "swagger-ui-bundle.min.js",
    },
)


def document(sign_in: Mapping[str, str]) -> Content:
    """The API's document, which says where callers of this stage sign in."""
    made = json.loads(content(DOCUMENT).text)
    (scheme,) = made["components"]["securitySchemes"].values()
    scheme["x-cognito"] = dict(sign_in)
    return tagged(json.dumps(made, ensure_ascii=False))


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
