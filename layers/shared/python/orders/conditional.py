"""Conditional requests (RFC 9110, section 13): a client that polls is told `304` while it has seen what there is."""

import hashlib
from typing import Any, Final

from pydantic import BaseModel

_ETAG_DIGITS: Final = 32


def etag(response: BaseModel) -> str:
    """A strong entity tag of what the response says."""
    return f'"{digest(response.model_dump_json())}"'


def digest(text: str) -> str:
    """What a tag is made of: the same for the same text, and for no other."""
    return hashlib.sha256(text.encode()).hexdigest()[:_ETAG_DIGITS]


def without_what_is_known(response: dict[str, Any], if_none_match: str | None) -> dict[str, Any]:
    """The response, or `304 Not Modified` with its headers if the client's tags include that of the response."""
    tag = response["headers"].get("ETag")
    if tag is None or if_none_match is None or response["statusCode"] != 200:
        return response
    # A comparison for a GET is weak: `W/` makes no difference.
    known = {candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")}
    if known.isdisjoint({tag, "*"}):
        return response
    headers = {name: value for name, value in response["headers"].items() if name.lower() != "content-type"}
    return {**response, "statusCode": 304, "headers": headers, "body": ""}
