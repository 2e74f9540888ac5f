"""What follows an order through the system."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """The caller's correlation id, and the W3C trace context as a `traceparent`."""

    correlation_id: str
    traceparent: str
