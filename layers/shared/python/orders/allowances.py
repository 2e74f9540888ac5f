"""Limits per hour, each a token bucket in one row of Postgres.

Of an allowance of N an hour, N may be spent at once, and one more comes back each Nth part of an hour. So no hour sees
more than twice N, and in the long run it is N. Whoever spends waits for those who spend of the same allowance at the
same time, until their COMMIT: the count is exact, however many processes there are.

`full_at` is when the whole allowance is there again (the generic cell rate algorithm, ITU-T I.371). A row whose time is
over says nothing that no row would not say, and maintenance removes it.
"""

import functools
import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import Connection, TextClause, text

from orders.domain import Channel

WINDOW: Final = timedelta(hours=1)
LANE_ALLOWANCE: Final = 1_000
"""Everybody's messages would wait for each other to be counted in one row. A large allowance that all share is split
into lanes of this size, and each message is counted on one of them."""

_MICROSECOND: Final = timedelta(microseconds=1)
_GMAIL: Final = frozenset({"gmail.com", "googlemail.com"})


@dataclass(frozen=True)
class Allowance:
    """What may be spent `per_hour` under one key, e.g. by one user. `scope` says what it is that is counted."""

    scope: str
    key: str
    per_hour: int

    @classmethod
    def shared(cls, scope: str, per_hour: int, spender: UUID) -> Self:
        """A part of an allowance that everybody shares: one of its lanes, chosen by the random bits of `spender`."""
        lanes = max(1, per_hour // LANE_ALLOWANCE)
        return cls(scope, str(spender.int % lanes), per_hour // lanes)

    @property
    def cost(self) -> timedelta:
        """How long it takes to get one back."""
        # Rounded down, or the last one of an hour would not fit into it.
        return WINDOW // self.per_hour // _MICROSECOND * _MICROSECOND

    @property
    def retry_after_seconds(self) -> int:
        """After so long at most there is one to spend."""
        return math.ceil((self.cost if self.per_hour else WINDOW).total_seconds())


def spend(connection: Connection, *allowances: Allowance) -> Allowance | None:
    """Spends one of each, in the caller's transaction and one statement. Returns the first one of which nothing is
    left: then none of those behind it was spent, and those before it are spent unless the caller rolls back.

    Whoever spends several gives them in the same order as everybody else, from the most particular to the most common:
    two that wait for each other would be a deadlock.
    """
    for allowance in allowances:
        if allowance.per_hour == 0:
            return allowance
    parameters: dict[str, Any] = {"window": WINDOW}
    for number, allowance in enumerate(allowances):
        parameters |= {
            f"scope_{number}": allowance.scope,
            f"key_{number}": allowance.key,
            f"cost_{number}": allowance.cost,
        }
    spent: int = connection.execute(_spending(len(allowances)), parameters).scalar_one()
    return allowances[spent] if spent < len(allowances) else None


def mailbox(channel: Channel, address: str) -> str:
    """The key of whoever reads what is sent to the address: a SHA-256, since a count has no need to know who it is.

    Spellings that lead to one mailbox are one: capital letters, what follows a plus sign, and dots at Gmail.
    """
    canonical = address.lower()
    if channel is Channel.EMAIL:
        name, _, domain = canonical.rpartition("@")
        name = name.partition("+")[0] or name
        if domain in _GMAIL:
            name, domain = name.replace(".", ""), "gmail.com"
        canonical = f"{name}@{domain}"
    return hashlib.sha256(f"{channel} {canonical}".encode()).hexdigest()


@functools.cache
def _spending(number: int) -> TextClause:
    """Each part reads from the one before it, so that none is spent behind one that is refused."""
    parts = [_one(place) for place in range(number)]
    counts = [f"(SELECT count(*) FROM spent_{place})" for place in range(number)]
    return text(f"WITH {', '.join(parts)} SELECT {' + '.join(counts)}")


def _one(place: int) -> str:
    return f"""
        spent_{place} AS (
            INSERT INTO allowances AS held (scope, key, full_at)
            SELECT CAST(:scope_{place} AS text), CAST(:key_{place} AS text), now() + CAST(:cost_{place} AS interval)
            {_behind(place)}
            ON CONFLICT (scope, key) DO UPDATE
            SET full_at = greatest(held.full_at, now()) + CAST(:cost_{place} AS interval)
            WHERE greatest(held.full_at, now()) + CAST(:cost_{place} AS interval)
                  <= now() + CAST(:window AS interval)
            RETURNING scope
        )
    """


def _behind(place: int) -> str:
    return f"FROM spent_{place - 1}" if place else ""
