"""One trace from a request to its mail, without an SDK.

A trace is kept and handed on as W3C Trace Context's `traceparent` (https://www.w3.org/TR/trace-context/): in the
outbox, in events and in the input of executions. AWS X-Ray has the same three facts in another form, its tracing header
(https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader): a root of 32
hexadecimal digits, the parent, and whether it is sampled. What is not well-formed is no trace, and is never repeated.
"""

import os
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageSystemAttributeValueTypeDef

MESSAGE_ATTRIBUTE: Final = "AWSTraceHeader"
"""The system attribute of an SQS message that X-Ray reads. It does not count towards the message's size."""

_INVOCATION: Final = "_X_AMZN_TRACE_ID"
"""The variable that the runtime sets for each invocation."""
_TRACEPARENT: Final = re.compile(
    r"00-(?!0{32})([0-9a-f]{8})([0-9a-f]{24})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
)
_ROOT: Final = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_SAMPLED: Final = 1
"""The one bit of the flags that version 00 defines."""


def current_traceparent(headers: Mapping[str, str] = MappingProxyType({})) -> str:
    """The trace that this invocation works in: that of its request's header `traceparent` if that is well-formed,
    otherwise the invocation's own, and a new one where Lambda gives none. The names of `headers` are in lower case.

    Whether it is sampled is X-Ray's decision where it has made one: what is recorded costs money.
    """
    callers, own = valid_traceparent(headers.get("traceparent")), traceparent_of(os.environ.get(_INVOCATION))
    if callers and own:
        return callers[:-2] + own[-2:]
    return callers or own or new_traceparent()


def new_traceparent() -> str:
    """A trace of its own, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def valid_traceparent(candidate: str | None) -> str | None:
    """The candidate if it is a well-formed `traceparent` (version 00)."""
    return candidate if candidate is not None and _TRACEPARENT.fullmatch(candidate) else None


def traceparent_of(tracing_header: str | None) -> str | None:
    """X-Ray's tracing header as a `traceparent`; None if it is not well-formed. Without a parent it gets a new one."""
    fields = dict(field.strip(" ").partition("=")[::2] for field in (tracing_header or "").split(";"))
    root = _ROOT.fullmatch(fields.get("Root", ""))
    if root is None:
        return None
    parent = fields.get("Parent") or secrets.token_hex(8)
    flags = "01" if fields.get("Sampled") == "1" else "00"
    return valid_traceparent(f"00-{root[1]}{root[2]}-{parent}-{flags}")


def tracing_header(traceparent: str) -> str | None:
    """X-Ray's tracing header for work that goes on in this trace; None if it is not well-formed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    epoch, unique, parent, flags = found.groups()
    return f"Root=1-{epoch}-{unique};Parent={parent};Sampled={int(flags, 16) & _SAMPLED}"


def trace_id(traceparent: str) -> str | None:
    """The trace's id as X-Ray writes it, for log lines; None if it is not well-formed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return f"1-{found[1]}-{found[2]}" if found else None


def message_attributes(
    traceparent: str | None,
) -> "dict[Literal['AWSTraceHeader'], MessageSystemAttributeValueTypeDef]":
    """SQS's system attributes of a message about work in this trace; none if it is not well-formed."""
    header = tracing_header(traceparent) if traceparent else None
    return {MESSAGE_ATTRIBUTE: {"DataType": "String", "StringValue": header}} if header else {}
