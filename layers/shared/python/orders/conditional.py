"""Conditional requests (RFC 9110, section 13): a client that polls is told `304` while it has seen what there is."""

import hashlib
from typing import Any, Final

from pydantic import BaseModel

_ETAG_DIGITS: Final = 32


def etag(answer: BaseModel) -> str:
    """A strong entity tag of what the answer says."""
    return f'"{digest(answer.model_dump_json())}"'


def digest(text: str) -> str:
    """What a tag is made of: the same for the same text, and for no other."""
    return hashlib.sha256(text.encode()).hexdigest()[:_ETAG_DIGITS]


def without_what_is_known(answer: dict[str, Any], if_none_match: str | None) -> dict[str, Any]:
    """The answer, or `304 Not Modified` with its headers if the client's tags include that of the answer."""
    tag = answer["headers"].get("ETag")
    if tag is None or if_none_match is None or answer["statusCode"] != 200:
        return answer
    # A comparison for a GET is weak: `W/` makes no difference.
    known = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    if known.isdisjoint({tag, "*"}):
        return answer
    headers = {name: value for name, value in answer["headers"].items() if name.lower() != "content-type"}
    return {**answer, "statusCode": 304, "headers": headers, "body": ""}
