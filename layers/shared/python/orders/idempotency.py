"""A request takes effect once, however often its user sends it under one Idempotency-Key (promises I1 and I10).

The statement that takes effect also records the key, so both are committed or neither is. The record's primary key,
(user_id, key), decides between requests at the same time: one is let through, the others wait for its commit, fail, and
then find what it did. `once` is all of it for a use case of its own statements; one that counts its round trips merges
`SAME_KEY` and `insert` into those that it has (as POST /orders does), and is run by `run`.

A table of records has the columns user_id, key and fingerprint, and those that lead to what the request made.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Row, TextClause, text
from sqlalchemy.exc import IntegrityError

from orders.db import Database, sqlstate
from orders.errors import IdempotencyKeyReused

T = TypeVar("T")

REPLAYED_HEADER: Final = "Idempotency-Replayed"

SAME_KEY: Final = "(earlier.user_id, earlier.key) = (:user_id, :key)"
"""For a statement that looks for the record `earlier` of a request; `IdempotentRequest.row` gives its parameters."""

_UNIQUE_VIOLATION: Final = "23505"


@dataclass(frozen=True)
class IdempotentRequest:
    """Who asks, under which key, and a SHA-256 of what for."""

    user_id: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, body: BaseModel, *, user_id: str, key: str, operation: str = "") -> Self:
        """`operation` tells requests apart whose keys are in one table: what is done, and to which resource.

        White space, the order of fields and defaults spelled out make no other fingerprint. Fingerprints are kept: a
        change of what is hashed refuses the retries of requests from before the change.
        """
        asked = f"{operation} {body.model_dump_json(exclude_defaults=True)}".lstrip()
        return cls(user_id, key, hashlib.sha256(asked.encode()).hexdigest())

    @property
    def row(self) -> dict[str, Any]:
        """The parameters of `SAME_KEY` and `insert`."""
        return {"user_id": self.user_id, "key": self.key, "fingerprint": self.fingerprint}

    def check(self, earlier_fingerprint: str) -> None:
        """Makes sure that the record found under the key is of this request.

        Raises:
            IdempotencyKeyReused: it is of a request for something else.
        """
        if earlier_fingerprint != self.fingerprint:
            raise IdempotencyKeyReused(
                "This Idempotency-Key belongs to another request; use a new key for a new request"
            )


def insert(table: str, source: str = "", **made: str) -> str:
    """The SQL that records a request: `made` are the expressions of the columns that lead to what it made. With a
    `source`, e.g. `FROM moved`, it records nothing if the source has no row."""
    return (
        f"INSERT INTO {table} (user_id, key, fingerprint, {', '.join(made)}) "
        f"SELECT :user_id, :key, :fingerprint, {', '.join(made.values())} {source}"
    )


def find(table: str, *made: str) -> TextClause:
    """The statement that looks for the record of an earlier request, for `once`."""
    return text(f"SELECT fingerprint, {', '.join(made)} FROM {table} AS earlier WHERE {SAME_KEY}")


def once(
    database: Database,
    request: IdempotentRequest,
    earlier: TextClause,
    take_effect: Callable[[Connection], T],
    recall: Callable[[Connection, Row[Any]], T],
) -> T:
    """Runs `take_effect`, which records the request with `insert`; or `recall`, with the record that `earlier` finds.

    Raises:
        IdempotencyKeyReused: the key belongs to another request of this user's.
        DatabaseUnavailable: nobody knows whether it took effect; the same request may be sent again.
    """

    def work(connection: Connection) -> T:
        recorded = connection.execute(earlier, request.row).one_or_none()
        if recorded is None:
            return take_effect(connection)
        request.check(recorded.fingerprint)
        return recall(connection, recorded)

    return run(database, work)


def run(database: Database, work: Callable[[Connection], T]) -> T:
    """`database.transact`; and again if a request under the same key was faster, whose record `work` then finds."""
    try:
        return database.transact(work)
    except IntegrityError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
    return database.transact(work)


def replay_header(replayed: bool) -> dict[str, str]:
    """The header of a response that an earlier request has had already."""
    return {REPLAYED_HEADER: "true"} if replayed else {}
