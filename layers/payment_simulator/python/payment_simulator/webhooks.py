"""The simulator's webhooks: an event in JSON, with a signature over its time and its bytes as is common."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from orders.payments.webhooks import TOLERANCE_SECONDS, InvalidSignature, ProviderEvent

SIGNATURE_HEADER: Final = "simulator-signature"
"""`t=<seconds since 1970>,v1=<HMAC-SHA-256 of "<t>.<body>" in hexadecimal>`."""

TYPES: Final = frozenset(
    {
        "payment.captured",
        "payment.declined",
        "payment.voided",
        "refund.created",
        "dispute.opened",
        "dispute.closed",
    }
)
"""Those that are needed. There may be others, and there will be."""


def sign(body: bytes, secret: str, *, at: float | None = None) -> dict[str, str]:
    """The headers that the body is sent with; `at` is in seconds since 1970, now by default."""
    timestamp = str(int(time.time() if at is None else at))
    return {SIGNATURE_HEADER: f"t={timestamp},v1={_signature(timestamp, body, secret)}"}


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> ProviderEvent | None:
    """See `orders.payments.webhooks.Verifier`."""
    parts = dict(part.partition("=")[::2] for part in headers.get(SIGNATURE_HEADER, "").split(","))
    timestamp = parts.get("t", "")
    expected = _signature(timestamp, body, secret)
    # As bytes: characters that are not ASCII are refused, not raised.
    if not hmac.compare_digest(parts.get("v1", "").encode(), expected.encode()):
        raise InvalidSignature
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidSignature
    event = _event(body)
    return event if event.type in TYPES else None


def _event(body: bytes) -> ProviderEvent:
    try:
        content: Any = json.loads(body)
        event = ProviderEvent(content["id"], content["type"], content["paymentId"], content.get("key"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidSignature from error
    told = (event.event_id, event.type, event.payment_id, event.key or "")
    if not all(isinstance(field, str) for field in told):
        raise InvalidSignature
    return event


def _signature(timestamp: str, body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
