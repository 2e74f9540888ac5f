"""Reads a request's body: one JSON object in UTF-8, within bounds, and nothing that two readers could read differently.

API Gateway hands a body over as text or as base64, whatever the client sent. HTTP APIs validate nothing themselves.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from orders.errors import (
    BodyTooLarge,
    FieldError,
    MalformedRequest,
    UnsupportedContentCoding,
    UnsupportedMediaType,
)

MAX_BODY_BYTES: Final = 64 * 1024
MEDIA_TYPE: Final = "application/json"

CODINGS: Final = ("gzip", "deflate")
_IDENTITY: Final = frozenset({"", "identity"})
_ALIASES: Final = {"x-gzip": "gzip"}
"""RFC 9110, section 8.4.1.3."""
_WINDOW_BITS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""What tells zlib the format: that of RFC 1952, or that of RFC 1950."""
_UNREADABLE: Final = "\ufffd"
"""What stands in a text for bytes that were no UTF-8."""

METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_MAX_DIGITS: Final = 20
"""Of a whole number; the rest is cut off. What is longer is out of every bound here anyway, and Python refuses to read
more than 4,300."""


def with_plain_body(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same HTTP API event with its body as plain text of a known size, declared as JSON. It may be empty: some
    requests ask for all they have to ask for by their path.

    Raises:
        UnsupportedMediaType, UnsupportedContentCoding, BodyTooLarge, MalformedRequest: as their names say.
    """
    if event["requestContext"]["http"]["method"] not in METHODS_WITH_BODY:
        return event
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    declared = headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower()
    # Many clients declare a form where they send nothing.
    if event.get("body") and declared != MEDIA_TYPE:
        raise UnsupportedMediaType(f"Send {MEDIA_TYPE}")
    coding = headers.pop("content-encoding", "").strip().lower()
    text = _text(event.get("body") or "", _ALIASES.get(coding, coding), event.get("isBase64Encoded", False))
    return {
        **event,
        "headers": {**headers, "content-type": MEDIA_TYPE},
        "body": text,
        "isBase64Encoded": False,
    }


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises:
        MalformedRequest: it is no JSON, or no object, or some name in it appears twice.
    """
    if not text.strip():
        raise _malformed("This must be a JSON object, but it is empty")
    try:
        body = json.loads(
            text, object_pairs_hook=_object, parse_int=_whole_number, parse_constant=_refuse_constant
        )
    # A client can make the parser give up by nesting without end, too.
    except (ValueError, RecursionError):
        raise _malformed("This is not valid JSON") from None
    if not isinstance(body, dict):
        raise _malformed("This must be a JSON object")
    return body


def _text(body: str, coding: str, encoded: bool) -> str:
    is_compressed = coding not in _IDENTITY
    if is_compressed and coding not in CODINGS:
        raise UnsupportedContentCoding(CODINGS, f"Send {' or '.join(CODINGS)}, or no Content-Encoding")
    if is_compressed and not encoded and _UNREADABLE in body:
        raise UnsupportedContentCoding(
            ["identity"], "It arrived as text, and is lost. Send no Content-Encoding"
        )
    try:
        raw = base64.b64decode(body, validate=True) if encoded else body.encode()
        # A gateway that hands it over as text has decoded it.
        if is_compressed and encoded:
            raw = _decompressed(raw, coding)
        if len(raw) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"At most {MAX_BODY_BYTES} bytes are accepted")
        return raw.decode()
    except ValueError:
        raise _malformed("This is not UTF-8 text") from None


def _decompressed(raw: bytes, coding: str) -> bytes:
    """At most one byte more than is accepted, however much there is."""
    decoder = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        content = decoder.decompress(raw, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise _malformed(f"This is not {coding}") from None
    if len(content) <= MAX_BODY_BYTES and (not decoder.eof or decoder.unused_data):
        raise _malformed(f"This is not {coding}, or not all of it")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in pairs:
        if name in read:
            raise _malformed(f"The name {json.dumps(name)} appears twice in one object")
        read[name] = value
    return read


def _whole_number(digits: str) -> int:
    return int(digits[:_MAX_DIGITS])


def _refuse_constant(name: str) -> None:
    raise _malformed(f"This is not valid JSON: {name} is no JSON number")


def _malformed(detail: str) -> MalformedRequest:
    return MalformedRequest("The body is not acceptable", (FieldError("#", detail),))
