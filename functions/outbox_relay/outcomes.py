"""What can become of a claimed event. Whose fault a failure is decides everything that follows."""

from dataclasses import dataclass

from functions.outbox_relay.claims import ClaimedEvent


@dataclass(frozen=True)
class Published:
    """SQS confirmed this very event (promise I8)."""

    event: ClaimedEvent


@dataclass(frozen=True)
class EventRefused:
    """The event's own fault: it would be refused again, also by a queue that works. It counts as a refusal."""

    event: ClaimedEvent
    error: str
    """A code, never content."""
    final: bool = False
    """No later attempt can succeed."""


@dataclass(frozen=True)
class Undelivered:
    """Not the event's fault: throttling, an outage, a missing right. It is tried again, for as long as it takes."""

    event: ClaimedEvent
    error: str


Failure = EventRefused | Undelivered
Outcome = Published | Failure
