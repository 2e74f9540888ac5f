"""An outbox on a real Postgres, and relays that publish it over real HTTP."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from functions.outbox_relay.claims import Claims
from functions.outbox_relay.publisher import SqsPublisher
from functions.outbox_relay.relay import SENDERS, Publisher, Relay
from orders import outbox
from orders.db import Database
from orders.domain import Notification, Priority
from orders.events import EventData, NotificationRequested, OrderCreated, Queue
from orders.ids import uuid7
from tests.support.factories import TRACE, execute, rows
from tools.aws_server import SqsServer

PLENTY_SECONDS = 900.0

ORDER_CREATED = OrderCreated(total_amount=2500, currency="USD")
NOTIFICATION_REQUESTED = NotificationRequested(notification=Notification.ORDER_CONFIRMED)

_DUE = text("SELECT EXISTS (SELECT FROM outbox WHERE status = 'PENDING' AND available_at <= now())")


def add_event(connection: Connection, data: EventData = ORDER_CREATED) -> UUID:
    """One event in the caller's transaction; answers its id."""
    order_id = uuid7()
    outbox.add(connection, order_id, data, TRACE)
    event_id: UUID = connection.execute(
        text("SELECT id FROM outbox WHERE subject = :order_id"), {"order_id": order_id}
    ).scalar_one()
    return event_id


def add_events(
    database: Database,
    count: int = 1,
    data: EventData = ORDER_CREATED,
    *,
    priority: Priority = Priority.NORMAL,
) -> list[UUID]:
    """Events, committed together."""
    parameters = [outbox.row(uuid7(), data, TRACE) for _ in range(count)]
    # Of all in one statement: thousands of them take thousands of round trips otherwise.
    database.transact(
        lambda connection: connection.execute(
            text(
                "INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, priority) "
                "SELECT id, :type, subject, CAST(:data AS jsonb), :correlation_id, :traceparent, :priority "
                "FROM unnest(CAST(:ids AS uuid[]), CAST(:subjects AS uuid[])) AS event (id, subject)"
            ),
            {
                "ids": [row["event_id"] for row in parameters],
                "subjects": [row["order_id"] for row in parameters],
                "type": data.type,
                "data": parameters[0]["event_data"],
                "correlation_id": TRACE.correlation_id,
                "traceparent": TRACE.traceparent,
                "priority": priority,
            },
        )
    )
    return [row["event_id"] for row in parameters]


def queue_urls(server: SqsServer) -> Mapping[Queue, str]:
    return {queue: server.queue_url(queue) for queue in Queue}


def statuses(database: Database) -> dict[str, int]:
    found = rows(database, "SELECT status, count(*) AS count FROM outbox GROUP BY status")
    return {row["status"]: row["count"] for row in found}


def row(database: Database, event_id: UUID) -> dict[str, Any]:
    # Not its data: some tests plant what no client could read.
    (found,) = rows(
        database,
        "SELECT id, type, subject, status, attempts, refusals, available_at, claim_token, last_error, created_at, "
        "published_at FROM outbox WHERE id = :id",
        id=event_id,
    )
    return found


def make_due(database: Database) -> None:
    """Lets the time pass that leases and back-offs last."""
    execute(database, "UPDATE outbox SET available_at = now() WHERE status = 'PENDING'")


def is_anything_due(database: Database) -> bool:
    return bool(database.transact(lambda connection: connection.scalar(_DUE)))


@dataclass
class Relays:
    """Runs relays against one database and one SQS."""

    database: Database
    publisher: Publisher

    def drain(self) -> dict[str, int]:
        """One run, until nothing is due."""
        return self.run(lambda: is_anything_due(self.database))

    def run(self, go_on: Callable[[], bool]) -> dict[str, int]:
        """One run, for as long as it is told to go on."""
        with ThreadPoolExecutor(SENDERS) as senders:
            relay = Relay(Claims(self.database), self.publisher, senders)
            return relay.run(PLENTY_SECONDS, lambda: PLENTY_SECONDS if go_on() else 0)


def connect(server: SqsServer) -> SqsPublisher:
    """The publisher as production makes it; `AWS_ENDPOINT_URL` leads it to the server."""
    return SqsPublisher.connect(queue_urls(server), connections=SENDERS)


def times_accepted(server: SqsServer, ids: Sequence[UUID]) -> list[int]:
    counted = Counter(server.accepted_ids)
    return [counted[str(event_id)] for event_id in ids]
