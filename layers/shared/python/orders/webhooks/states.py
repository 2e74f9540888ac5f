"""The words for an endpoint, for a delivery to it, and for what went wrong. They are also what its owner reads."""

from enum import StrEnum
from typing import Final, Self

from orders.events import OrderCancelled, OrderConfirmed, OrderRefunded, OrderReviewRequired

MAX_WEBHOOKS: Final = 5
"""Endpoints that one user may have. The check of `webhook_endpoints.slot` says the same."""


class WebhookEventType(StrEnum):
    """What an endpoint may be told."""

    CONFIRMED = OrderConfirmed.type
    CANCELLED = OrderCancelled.type
    REVIEW_REQUIRED = OrderReviewRequired.type
    REFUNDED = OrderRefunded.type


TEST_EVENT_TYPE: Final = "com.orders.webhook.test.v1"
"""Is sent when the owner of an endpoint asks for it, whatever else the endpoint is told."""


class EndpointStatus(StrEnum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    """Nothing is sent to it until its owner enables it again."""


class DisabledReason(StrEnum):
    GONE = "GONE"
    """It responded with 410: it asked for it."""
    UNDELIVERABLE = "UNDELIVERABLE"
    """An event was tried for a day in vain, and nothing else got through in that time."""


class DeliveryStatus(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    """Given up; its owner may have it sent again."""


class DeliveryError(StrEnum):
    """Why an attempt failed."""

    HTTP_STATUS = "HTTP_STATUS"
    """A response other than 2xx."""
    REDIRECTED = "REDIRECTED"
    """A response 3xx: redirects are not followed."""
    GONE = "GONE"
    TIMEOUT = "TIMEOUT"
    HOST_NOT_FOUND = "HOST_NOT_FOUND"
    """The host's name has no address, or not only addresses of the public internet. Told apart, the two would show a
    customer which names there are in our network."""
    CONNECTION_FAILED = "CONNECTION_FAILED"
    TLS_FAILED = "TLS_FAILED"
    BROKEN_ANSWER = "BROKEN_ANSWER"
    """What came back is no HTTP."""
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    """Not tried: the endpoint had been disabled by then."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Deliveries of earlier releases have another word for it."""
        return cls.HOST_NOT_FOUND if value == "FORBIDDEN_ADDRESS" else None
