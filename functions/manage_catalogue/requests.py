"""A request to change the catalogue takes effect once, however often it is sent: by its key, in the transaction of its
effect, as an order does."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from orders.db import Database, sqlstate
from orders.errors import IdempotencyKeyReused
from orders.http import ApiRequest

T = TypeVar("T")

_UNIQUE_VIOLATION: Final = "23505"

_EARLIER: Final = text("""
    SELECT fingerprint, product_id, movement_id FROM catalogue_requests WHERE user_id = :user_id AND key = :key
""")


@dataclass(frozen=True)
class Request:
    """Who asks, under which key, and a hash of what for."""

    user_id: str
    key: str
    fingerprint: str

    @classmethod
    def to(cls, what: str, body: ApiRequest, *, user_id: str, key: str) -> "Request":
        """`what` names the operation and the product that it is about."""
        asked = f"{what} {body.model_dump_json(exclude_defaults=True)}"
        return cls(user_id, key, hashlib.sha256(asked.encode()).hexdigest())


def once(
    database: Database,
    request: Request,
    take_effect: Callable[[Connection], T],
    recall: Callable[[Connection, Row[Any]], T],
) -> T:
    """The answer of `take_effect`, which writes the request's row with its effect, or of `recall` if that has happened
    before. Of requests racing under one key, the row's primary key lets one through; the others then recall it.

    Raises:
        IdempotencyKeyReused: the key belongs to another request of this user's.
        DatabaseUnavailable: nobody knows whether it took effect; the same request may be sent again.
    """

    def work(connection: Connection) -> T:
        earlier = connection.execute(_EARLIER, {"user_id": request.user_id, "key": request.key}).one_or_none()
        if earlier is None:
            return take_effect(connection)
        if earlier.fingerprint != request.fingerprint:
            raise IdempotencyKeyReused(
                "This Idempotency-Key belongs to another request; use a new key for a new request"
            )
        return recall(connection, earlier)

    try:
        return database.transact(work)
    except IntegrityError as error:
        if sqlstate(error) != _UNIQUE_VIOLATION:
            raise
        return database.transact(work)
