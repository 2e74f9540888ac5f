"""When a failed attempt is repeated, and when it is the last."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

JITTER: Final = 0.2
"""A wait differs from its nominal length by up to this share, so that what failed together comes back apart."""
LATEST: Final = 1.5
"""An attempt that fails later than this many times the whole schedule after the first is the last, however few there
were: they were put off, and an endpoint that never responds must come to its end."""
LONGEST_RETRY_AFTER_SECONDS: Final = 12 * 3600.0
"""A server that asks for more time is tried then all the same."""

FIRST_POSTPONEMENT_SECONDS: Final = 0.5
LONGEST_POSTPONEMENT_SECONDS: Final = 1800.0


@dataclass(frozen=True)
class Schedule:
    """The nominal waits in seconds between the attempts of one round."""

    waits: Sequence[float]

    def next_wait(self, attempts: int, age_seconds: float, retry_after: float | None = None) -> float | None:
        """Seconds to wait after so many attempts of a round that began `age_seconds` ago; None: give up.

        `retry_after` are the seconds that the server asked for. They make a wait longer, never shorter, and no longer
        than the round may last.
        """
        time_left = LATEST * sum(self.waits) - age_seconds
        if attempts > len(self.waits) or time_left < 0:
            return None
        asked_for = min(retry_after or 0.0, LONGEST_RETRY_AFTER_SECONDS) * random.uniform(1, 1 + JITTER)
        return max(_jittered(self.waits[attempts - 1]), min(asked_for, time_left))


def postponement_seconds(postponed: int) -> float:
    """How long an attempt is put off that was put off so many times before. It doubles: a long backlog of one customer
    must not be asked about again and again."""
    nominal = FIRST_POSTPONEMENT_SECONDS * 2 ** min(postponed, 16)
    return _jittered(min(nominal, LONGEST_POSTPONEMENT_SECONDS))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)
