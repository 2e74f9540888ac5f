"""A dead letter's body as operators see it: what it holds by name and kind, with the values that are ids of ours."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from orders.events import CATALOGUE, CloudEvent
from orders.observability import shortened

MAX_BODY: Final = 2000
"""Characters of one body."""
_MAX_NAMES: Final = 40
"""Of one object, and members of one list."""
_MAX_DEPTH: Final = 4

_KNOWN: Final = frozenset(CloudEvent.model_fields).union(
    *({field.alias or name for name, field in schema.model_fields.items()} for schema in CATALOGUE.values())
)
"""The names that our events have. Any other may be anything, and is not repeated."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def redacted(body: str) -> str:
    """The body in JSON: names of ours with ids, numbers and types as they are, and of everything else the kind."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return f"text of {len(body)} characters"
    return shortened(json.dumps(_redacted(parsed, 0)), MAX_BODY)


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        if depth == _MAX_DEPTH:
            return f"object of {len(value)} fields"
        shown = {name: _redacted(one, depth + 1) for name, one in value.items() if name in _KNOWN}
        unknown = len(value) - len(shown)
        return {**shown, **({"…": f"{unknown} fields that are not known"} if unknown else {})}
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, str):
        is_ours = _UUID.fullmatch(value) or value in CATALOGUE
        return value if is_ours else f"text of {len(value)} characters"
    if value is None or isinstance(value, bool):
        return value
    # A number may be a telephone's.
    return value if abs(value) < 10**6 else "number"
