"""Stripe's webhooks: the signature is checked by its own library, which is imported with the first one that comes."""

import time
from collections.abc import Mapping
from typing import Final

from orders.payments.webhooks import TOLERANCE_SECONDS, InvalidSignature, ProviderEvent

SIGNATURE_HEADER: Final = "stripe-signature"

_OF_INTENTS: Final = frozenset(
    {"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"}
)
TYPES: Final = _OF_INTENTS | {
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
}
"""Those that are needed: the endpoint at Stripe is registered for them."""


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> ProviderEvent | None:
    """See `orders.payments.webhooks.Verifier`. A header with several signatures needs one that is right: while a secret
    is rolled, Stripe signs with both (docs.stripe.com/webhooks/signature)."""
    import stripe

    signature = headers.get(SIGNATURE_HEADER)
    try:
        event = stripe.Webhook.construct_event(body, signature, secret, tolerance=TOLERANCE_SECONDS)
        fields = dict(part.partition("=")[::2] for part in (signature or "").split(","))
        if int(fields["t"]) > time.time() + TOLERANCE_SECONDS:
            raise InvalidSignature
        if event.type not in TYPES:
            return None
        about = event.data.object
        payment_id = about["id"] if event.type in _OF_INTENTS else about["payment_intent"]
        if payment_id is None:
            # A charge without an intent is none of ours.
            return None
        metadata = about["metadata"]
        key = metadata["key"] if metadata and "key" in metadata else None
        return ProviderEvent(event.id, event.type, payment_id, key)
    except (stripe.SignatureVerificationError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidSignature from error
