"""Requests about webhooks that may be sent again under one Idempotency-Key, and take effect once."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Row, text

from orders import idempotency
from orders.db import Database
from orders.idempotency import IdempotentRequest

T = TypeVar("T")

_EARLIER: Final = idempotency.find("webhook_requests", "endpoint_id", "secret_version", "delivery_id")
_RECORD: Final = text(
    idempotency.insert(
        "webhook_requests",
        endpoint_id=":endpoint_id",
        secret_version="CAST(:secret_version AS integer)",
        delivery_id="CAST(:delivery_id AS uuid)",
    )
)


@dataclass(frozen=True)
class Effect:
    """What a request has done, as far as its response needs to know. It is kept, and a secret is no part of it."""

    endpoint_id: UUID
    secret_version: int | None = None
    delivery_id: UUID | None = None


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a request is answered with; `replayed` if an earlier one took the effect."""

    content: T
    replayed: bool


def once(
    database: Database,
    request: IdempotentRequest | None,
    take_effect: Callable[[Connection], Effect],
    show: Callable[[Connection, Effect], T],
) -> Outcome[T]:
    """Runs `take_effect`, unless an earlier request under the same key did, and `show` in the same transaction. Without
    a key each request takes effect.

    Raises:
        IdempotencyKeyReused, DatabaseUnavailable: as for `idempotency.once`.
    """
    if request is None:
        shown = database.transact(lambda connection: show(connection, take_effect(connection)))
        return Outcome(shown, replayed=False)

    def take_effect_and_record(connection: Connection) -> Outcome[T]:
        effect = take_effect(connection)
        connection.execute(_RECORD, {**request.row, **asdict(effect)})
        return Outcome(show(connection, effect), replayed=False)

    def recall(connection: Connection, earlier: Row[Any]) -> Outcome[T]:
        effect = Effect(earlier.endpoint_id, earlier.secret_version, earlier.delivery_id)
        return Outcome(show(connection, effect), replayed=True)

    return idempotency.once(database, request, _EARLIER, take_effect_and_record, recall)
