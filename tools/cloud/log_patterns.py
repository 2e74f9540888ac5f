"""Filter patterns of CloudWatch Logs for lines that are JSON, which MiniStack takes for "everything".

As AWS has them (Amazon CloudWatch Logs User Guide, Filter pattern syntax), as far as the system uses them: fields of
the line that are equal to a text, of which one is enough: `{ ($.order_id = "…") || ($.correlation_id = "…") }`.
"""

import json
import re
from collections.abc import Callable
from typing import Final

Matches = Callable[[str], bool]
"""Whether a line is one of those that a pattern is for."""

_EQUAL: Final = re.compile(r'\(?\s*\$\.(?P<field>\w+)\s*=\s*"(?P<value>[^"]*)"\s*\)?')


def with_json(compile_pattern: Callable[[str], Matches]) -> Callable[[str], Matches]:
    """The emulator's patterns, and these."""

    def compiled(pattern: str) -> Matches:
        asked = pattern.strip() if pattern else ""
        if not (asked.startswith("{") and asked.endswith("}")):
            return compile_pattern(pattern)
        parts = [_EQUAL.fullmatch(part.strip()) for part in asked[1:-1].split("||")]
        fields = [(part["field"], part["value"]) for part in parts if part]
        return _matching(fields) if len(fields) == len(parts) else compile_pattern(pattern)

    return compiled


def _matching(fields: list[tuple[str, str]]) -> Matches:
    def matches(line: str) -> bool:
        # Most lines are others', and need not be read.
        if not any(value in line for _, value in fields):
            return False
        try:
            content = json.loads(line)
        except ValueError:
            return False
        return isinstance(content, dict) and any(content.get(field) == value for field, value in fields)

    return matches
