"""What can become of a claimed event, how long a failed one waits, and when it is given up.

Whose fault a failure is decides everything that follows.
"""

import random
from dataclasses import dataclass
from typing import Final

from functions.outbox_relay.claims import ClaimedEvent

MAX_REFUSALS: Final = 5
"""Refusals of one event before it is DEAD. Attempts that failed in an outage are not counted: they say nothing about
the event, so an outage of any length leaves every event PENDING."""
BACKOFF_BASE_SECONDS: Final = 1.0
BACKOFF_FACTOR: Final = 2.0
MAX_BACKOFF_SECONDS: Final = 30.0
"""Also the longest that an event waits after an outage has ended."""
MIN_JITTER: Final = 0.5
"""A delay is this share of its nominal length at least, so that events which failed together come back apart."""


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


def backoff_seconds(attempts: int) -> float:
    """The wait after so many failed attempts (1 or more): 1, 2, 4 … 30 seconds, less up to half."""
    # Bounded before it is raised: after days of outage the power alone would not fit a float.
    nominal = min(BACKOFF_BASE_SECONDS * BACKOFF_FACTOR ** min(attempts - 1, 16), MAX_BACKOFF_SECONDS)
    return nominal * random.uniform(MIN_JITTER, 1)


def is_dead(failure: Failure) -> bool:
    """Whether the event is given up: it can never be sent, or this was the last refusal that it may have."""
    return isinstance(failure, EventRefused) and (failure.final or failure.event.refusals + 1 >= MAX_REFUSALS)
