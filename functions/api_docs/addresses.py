"""Which methods an address takes, as the document says."""

import json
import re
from functools import cache

from functions.api_docs.files import DOCUMENT, content


def methods_of(path: str) -> list[str]:
    """The methods that the document names for a path of a request, sorted; none if it knows no such path."""
    found = {method for pattern, methods in _paths() if pattern.fullmatch(path) for method in methods}
    return sorted(found)


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
