"""Rows past their retention are removed, a few at a time and by index; everything else stays."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text

from functions.create_order.place_order import place_order
from functions.maintenance import retention
from functions.maintenance.retention import (
    ACCOUNT_RETENTION,
    IDEMPOTENCY_RETENTION,
    INBOX_RETENTION,
    OUTBOX_RETENTION,
    UNCONFIRMED_RETENTION,
    WEBHOOK_RETENTION,
    remove_old_rows,
)
from functions.notify.limits import ACCOUNT_HOURS
from orders.db import Database
from orders.observability import metrics
from tests.integration.maintenance.support import NO_TIME, PLENTY
from tests.support.factories import add_order, add_product, execute, order_body, order_request, rows
from tests.support.webhooks import add_endpoint

A_MOMENT = timedelta(minutes=1)


def id_of(age: timedelta) -> UUID:
    """A UUIDv7 of that age."""
    milliseconds = int((datetime.now(UTC) - age).timestamp() * 1000)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (0b10 << 62) | (uuid4().int & (2**62 - 1)))


def add_event(database: Database, age: timedelta, status: str = "PUBLISHED", published: bool = True) -> UUID:
    event_id = id_of(age)
    execute(
        database,
        "INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, created_at, published_at) "
        "VALUES (:id, 'com.orders.order.created.v1', :id, '{}', 'c', 't', :status, now() - CAST(:age AS interval), "
        "CASE WHEN :published THEN now() - CAST(:age AS interval) END)",
        id=event_id,
        status=status,
        age=age,
        published=published,
    )
    return event_id


def add_delivery(
    database: Database, age: timedelta, consumer: str = "notify", id_age: timedelta | None = None
) -> UUID:
    event_id = id_of(age if id_age is None else id_age)
    execute(
        database,
        "INSERT INTO inbox (consumer, event_id, processed_at) "
        "VALUES (:consumer, :event_id, now() - CAST(:age AS interval))",
        consumer=consumer,
        event_id=event_id,
        age=age,
    )
    return event_id


def kept(database: Database, table: str, column: str) -> set[UUID]:
    return {row[column] for row in rows(database, f"SELECT {column} FROM {table}")}


def test_the_inbox_remembers_an_event_longer_than_it_can_stay_in_a_dead_letter_queue() -> None:
    assert timedelta(days=14) + timedelta(days=14) < INBOX_RETENTION


# Outbox


def test_published_events_past_their_time_are_removed(database: Database) -> None:
    add_event(database, OUTBOX_RETENTION + A_MOMENT)
    young = add_event(database, OUTBOX_RETENTION - A_MOMENT)
    assert remove_old_rows(database, PLENTY) == 1
    assert kept(database, "outbox", "id") == {young}


@pytest.mark.parametrize("status", ["PENDING", "DEAD"])
def test_an_event_that_was_never_published_is_never_removed(database: Database, status: str) -> None:
    event_id = add_event(database, 10 * OUTBOX_RETENTION, status, published=False)
    remove_old_rows(database, PLENTY)
    assert kept(database, "outbox", "id") == {event_id}


def test_an_old_event_that_was_published_just_now_is_kept(database: Database) -> None:
    event_id = add_event(database, 10 * OUTBOX_RETENTION)
    execute(database, "UPDATE outbox SET published_at = now()")
    remove_old_rows(database, PLENTY)
    assert kept(database, "outbox", "id") == {event_id}


def test_an_event_that_an_operator_is_making_pending_again_is_kept(
    database: Database, other_process: Database
) -> None:
    event_id = add_event(database, OUTBOX_RETENTION + A_MOMENT)
    with other_process.engine.begin() as operator:
        operator.execute(text("UPDATE outbox SET status = 'PENDING', published_at = NULL"))
        assert remove_old_rows(database, PLENTY) == 0
    assert kept(database, "outbox", "id") == {event_id}


# Inbox


def test_deliveries_past_their_time_are_removed_for_every_consumer(database: Database) -> None:
    for consumer in ("inventory-events", "notify", "payment-events"):
        add_delivery(database, INBOX_RETENTION + A_MOMENT, consumer)
    young = add_delivery(database, INBOX_RETENTION - A_MOMENT)
    assert remove_old_rows(database, PLENTY) == 3
    assert kept(database, "inbox", "event_id") == {young}


def test_a_delivery_is_as_old_as_it_is_and_not_as_its_event(database: Database) -> None:
    event_id = add_delivery(database, A_MOMENT, id_age=10 * INBOX_RETENTION)
    remove_old_rows(database, PLENTY)
    assert kept(database, "inbox", "event_id") == {event_id}


# Idempotency keys


def test_a_key_past_its_time_is_removed_and_its_order_stays(database: Database) -> None:
    old = add_order(database)
    execute(
        database,
        "UPDATE idempotency_keys SET created_at = now() - CAST(:age AS interval)",
        age=IDEMPOTENCY_RETENTION + A_MOMENT,
    )
    young = add_order(database)
    assert remove_old_rows(database, PLENTY) == 1
    assert kept(database, "idempotency_keys", "order_id") == {young}
    assert kept(database, "orders", "id") == {old, young}


def test_until_then_a_repeated_request_finds_its_order(database: Database) -> None:
    body = order_body([(add_product(database).product_id, 1)])
    request = order_request(body, key="once")
    placed = place_order(database, request)
    execute(
        database,
        "UPDATE idempotency_keys SET created_at = now() - CAST(:age AS interval)",
        age=IDEMPOTENCY_RETENTION - A_MOMENT,
    )
    remove_old_rows(database, PLENTY)
    assert place_order(database, request).order_id == placed.order_id


# Webhooks


def add_webhook(database: Database, age: timedelta, status: str = "DELIVERED") -> UUID:
    delivery_id = id_of(age)
    execute(
        database,
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, order_id, body, status, created_at) "
        "SELECT :id, webhook_endpoints.id, :id, 'type', orders.id, '{}', :status, now() - CAST(:age AS interval) "
        "FROM webhook_endpoints, orders LIMIT 1",
        id=delivery_id,
        status=status,
        age=age,
    )
    return delivery_id


def test_deliveries_of_webhooks_past_their_time_are_removed_unless_they_are_still_tried(
    database: Database,
) -> None:
    add_endpoint(database)
    add_order(database)
    for status in ("DELIVERED", "FAILED"):
        add_webhook(database, WEBHOOK_RETENTION + A_MOMENT, status)
    tried = add_webhook(database, WEBHOOK_RETENTION + A_MOMENT, "PENDING")
    young = add_webhook(database, WEBHOOK_RETENTION - A_MOMENT)
    assert remove_old_rows(database, PLENTY) == 2
    assert kept(database, "webhook_deliveries", "id") == {tried, young}


def test_requests_about_webhooks_are_forgotten_with_the_keys_of_orders(database: Database) -> None:
    for key, age in (("old", IDEMPOTENCY_RETENTION + A_MOMENT), ("young", IDEMPOTENCY_RETENTION - A_MOMENT)):
        execute(
            database,
            "INSERT INTO webhook_requests (user_id, key, fingerprint, endpoint_id, created_at) "
            "VALUES ('u', :key, 'f', gen_random_uuid(), now() - CAST(:age AS interval))",
            key=key,
            age=age,
        )

    remove_old_rows(database, PLENTY)

    assert kept(database, "webhook_requests", "key") == {"young"}


# All of them


def test_many_rows_are_removed_a_batch_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    for n in range(5):
        add_event(database, OUTBOX_RETENTION + A_MOMENT)
        add_delivery(database, INBOX_RETENTION + A_MOMENT, f"consumer-{n % 2}")
    assert remove_old_rows(database, PLENTY) == 10


@pytest.mark.parametrize("table", ["outbox", "inbox", "idempotency_keys", "webhook_deliveries"])
def test_no_statement_removes_more_than_its_batch(database: Database, table: str) -> None:
    """A planner that makes a join of the choice of rows may run that choice more than once."""
    add_endpoint(database)
    for n in range(8):
        add_event(database, timedelta(days=100))
        add_delivery(database, timedelta(days=100), f"consumer-{n % 3}")
        add_order(database)
        add_webhook(database, timedelta(days=100))
    execute(database, "UPDATE idempotency_keys SET created_at = now() - interval '100 days'")
    statements = {
        "outbox": retention._OUTBOX,
        "inbox": retention._INBOX,
        "idempotency_keys": retention._IDEMPOTENCY,
        "webhook_deliveries": retention._WEBHOOKS,
    }
    parameters = {"age": "50 days", "limit": 3}
    removed = database.transact(lambda connection: connection.execute(statements[table], parameters).all())
    assert len(removed) == 3


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (retention._OUTBOX, "outbox_pkey"),
        (retention._INBOX, "inbox_pkey"),
        (retention._IDEMPOTENCY, "idempotency_keys_by_age"),
        (retention._WEBHOOKS, "webhook_deliveries_pkey"),
    ],
    ids=["outbox", "inbox", "idempotency_keys", "webhook_deliveries"],
)
def test_old_rows_are_found_by_index(database: Database, statement: object, index: str) -> None:
    def plan(connection: Connection) -> str:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = connection.execute(text(f"EXPLAIN {statement}"), {"age": "7 days", "limit": 500}).scalars()
        return "\n".join(lines)

    explained = database.transact(plan)
    assert index in explained
    assert "Seq Scan" not in explained


def test_a_round_without_time_begins_nothing(database: Database) -> None:
    event_id = add_event(database, OUTBOX_RETENTION + A_MOMENT)
    assert remove_old_rows(database, NO_TIME) == 0
    assert kept(database, "outbox", "id") == {event_id}


def test_removed_rows_are_counted(database: Database) -> None:
    add_event(database, OUTBOX_RETENTION + A_MOMENT)
    metrics.clear_metrics()
    remove_old_rows(database, PLENTY)
    assert metrics.metric_set["RowsRemoved"]["Value"] == [1.0]
    metrics.clear_metrics()


# Recipients, accounts, allowances


def add_recipient(database: Database, age: timedelta, *, confirmed: bool = False) -> UUID:
    """One whose last code has been worth nothing for so long."""
    recipient_id = uuid4()
    execute(
        database,
        "INSERT INTO recipients "
        "(id, user_id, channel, address, locale, confirmed_at, code_expires_at, key, fingerprint) "
        "VALUES (:id, 'u', 'email', :address, 'en', CASE WHEN :confirmed THEN now() END, "
        "now() - CAST(:age AS interval), :address, '')",
        id=recipient_id,
        address=f"{recipient_id}@example.com",
        confirmed=confirmed,
        age=age,
    )
    return recipient_id


def test_an_address_that_nobody_confirmed_is_forgotten_after_a_day(database: Database) -> None:
    add_recipient(database, UNCONFIRMED_RETENTION + A_MOMENT)
    kept_ones = {
        add_recipient(database, UNCONFIRMED_RETENTION - A_MOMENT),
        add_recipient(database, 10 * UNCONFIRMED_RETENTION, confirmed=True),
    }
    assert remove_old_rows(database, PLENTY) == 1
    assert kept(database, "recipients", "id") == kept_ones


def test_the_address_of_an_account_is_forgotten_when_it_is_not_relied_on_any_more(database: Database) -> None:
    for user_id, age in (("old", ACCOUNT_RETENTION + A_MOMENT), ("young", ACCOUNT_RETENTION - A_MOMENT)):
        execute(
            database,
            "INSERT INTO account_addresses VALUES (:user_id, 'a@example.com', now() - CAST(:age AS interval))",
            user_id=user_id,
            age=age,
        )
    assert timedelta(hours=ACCOUNT_HOURS) <= ACCOUNT_RETENTION
    assert remove_old_rows(database, PLENTY) == 1
    assert rows(database, "SELECT user_id FROM account_addresses") == [{"user_id": "young"}]


def test_an_allowance_that_is_all_there_again_is_removed(database: Database) -> None:
    execute(
        database,
        "INSERT INTO allowances VALUES "
        "('a', 'full', now() - interval '1 second'), ('a', 'spent', now() + interval '1 hour')",
    )
    assert remove_old_rows(database, PLENTY) == 1
    assert rows(database, "SELECT key FROM allowances") == [{"key": "spent"}]
