"""The words for an endpoint, for a delivery to it, and for what went wrong. They are also what its owner reads."""

from enum import StrEnum
from typing import Final

MAX_WEBHOOKS: Final = 5
"""Endpoints that one user may have. The check of `webhook_endpoints.slot` says the same."""


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
    FORBIDDEN_ADDRESS = "FORBIDDEN_ADDRESS"
    """The host's name leads into a network that is not the internet."""
    CONNECTION_FAILED = "CONNECTION_FAILED"
    TLS_FAILED = "TLS_FAILED"
    BROKEN_ANSWER = "BROKEN_ANSWER"
    """What came back is no HTTP."""
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    """Not tried: the endpoint had been disabled by then."""
