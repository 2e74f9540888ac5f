"""Dead events: listed, and published after all, once."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from functions.operations import dependencies, health, outbox
from functions.operations.orders import records
from functions.outbox_relay.claims import Claims
from orders import notifications
from orders.db import Database
from orders.domain import Notification
from orders.ids import FIRST_ID, uuid7
from orders.payments.breaker import CIRCUIT
from tests.integration.operations.support import ADMIN, OPERATOR, Operations
from tests.support.factories import TRACE, add_order, execute, rows


def dead_event(operations: Operations, status: str = "DEAD") -> str:
    """An event that a relay has given up, of an order of its own."""
    order_id = add_order(operations.database)
    (event,) = rows(
        operations.database,
        "UPDATE outbox SET status = :status, attempts = 5, refusals = 5, last_error = 'InvalidEventData', "
        "available_at = now() + interval '1 hour', claim_token = gen_random_uuid() "
        "WHERE subject = :order_id RETURNING id",
        order_id=order_id,
        status=status,
    )
    return str(event["id"])


def redrive(operations: Operations, event_id: str, **body: Any) -> Any:
    return operations.admin.post(f"{ADMIN}/outbox/{event_id}/redrive", body)


def test_dead_events_are_listed_oldest_first_page_by_page(operations: Operations) -> None:
    events = [dead_event(operations) for _ in range(3)]
    add_order(operations.database)

    first = operations.admin.get(f"{ADMIN}/outbox?status=DEAD&limit=2").json
    second = operations.admin.get(f"{ADMIN}/outbox?limit=2&cursor={first['nextCursor']}").json

    assert [item["eventId"] for item in first["items"] + second["items"]] == events
    assert second["nextCursor"] is None
    assert first["items"][0]["lastError"] == "InvalidEventData"
    assert first["items"][0]["type"] == "com.orders.order.created.v1"
    assert first["items"][0]["attempts"] == 5


def test_a_redriven_event_is_the_relay_s_again(operations: Operations) -> None:
    event_id = dead_event(operations)
    assert Claims(operations.database).claim(10) == []

    answer = redrive(operations, event_id, note="the schema is deployed")

    assert (answer.status, answer.json) == (200, {"eventId": event_id, "status": "PENDING"})
    (claimed,) = Claims(operations.database).claim(10)
    assert (str(claimed.id), claimed.attempts, claimed.refusals) == (event_id, 1, 0)
    (action,) = operations.actions()
    assert (action["action"], action["operator"], action["target"]) == ("EVENT_REDRIVEN", OPERATOR, event_id)
    assert action["note"] == "the schema is deployed"
    assert action["detail"] == "last_error=InvalidEventData"


@pytest.mark.parametrize("status", ["PENDING", "PUBLISHED"])
def test_an_event_that_is_not_dead_is_left_alone(operations: Operations, status: str) -> None:
    event_id = dead_event(operations, status)

    answer = redrive(operations, event_id)

    assert answer.status == 409
    assert status in answer.json["detail"]
    (event,) = rows(operations.database, "SELECT status, attempts FROM outbox")
    assert event == {"status": status, "attempts": 5}
    assert operations.actions() == []


def test_of_two_operators_one_redrives(operations: Operations) -> None:
    event_id = dead_event(operations)

    assert [redrive(operations, event_id).status for _ in range(2)] == [200, 409]
    assert len(operations.actions()) == 1


@pytest.mark.parametrize("event_id", [str(UUID(int=1)), "nothing"])
def test_an_unknown_event_is_not_found(operations: Operations, event_id: str) -> None:
    answer = redrive(operations, event_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "event-not-found")


READS = {
    "outbox_dead": (outbox.LIST, {"after": FIRST_ID, "limit": 100}),
    "orders_in_review": (health.LOOK, {"circuit": CIRCUIT, "window": 30}),
    "orders_unfinished": (health.LOOK, {"circuit": CIRCUIT, "window": 30}),
    "outbox_pkey": (records.RECORDS, {"order_id": uuid7()}),
}


@pytest.mark.parametrize(("index", "read"), READS.items(), ids=READS)
def test_a_list_reads_the_index_that_holds_nothing_else(
    database: Database, index: str, read: tuple[Any, dict[str, Any]]
) -> None:
    statement, parameters = read
    execute(
        database,
        "INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status) "
        "SELECT gen_random_uuid(), 'x', gen_random_uuid(), '{}', 'c', 't', 'PUBLISHED' FROM generate_series(1, 2000)",
    )
    execute(
        database,
        "INSERT INTO orders (id, user_id, status, currency, total_amount, payment_method, contact_email, locale, "
        "correlation_id) SELECT gen_random_uuid(), 'bob', 'CONFIRMED', 'USD', 1, 'pm', 'b', 'en', 'c' "
        "FROM generate_series(1, 2000)",
    )
    execute(database, "ANALYZE outbox, orders")

    def plan(connection: Any) -> str:
        # The tables of a test are so small that reading them whole is cheapest.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {statement}"), parameters).scalars())

    assert f"using {index}" in database.transact(plan) or f"on {index}" in database.transact(plan)


def redrive_all(operations: Operations, **body: Any) -> Any:
    answer = operations.admin.post(f"{ADMIN}/outbox/redrive", body)
    assert answer.status == 200, answer.text
    return answer.json


def discard(operations: Operations, event_id: str, **body: Any) -> Any:
    return operations.admin.post(f"{ADMIN}/outbox/{event_id}/discard", body)


def test_all_dead_events_are_the_relay_s_again_and_each_is_on_record(operations: Operations) -> None:
    events = [dead_event(operations) for _ in range(3)]
    published = dead_event(operations, "PUBLISHED")

    assert redrive_all(operations, note="the schema is deployed") == {"redriven": 3, "left": 0}

    assert sorted(str(claim.id) for claim in Claims(operations.database).claim(10)) == events
    actions = operations.actions()
    assert [action["target"] for action in actions] == events
    assert {action["action"] for action in actions} == {"EVENT_REDRIVEN"}
    assert {action["note"] for action in actions} == {"the schema is deployed"}
    assert published not in events
    assert redrive_all(operations) == {"redriven": 0, "left": 0}, "there is nothing left"


def test_when_time_is_over_the_rest_is_counted(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REDRIVEN_AT_ONCE", 2)
    monkeypatch.setattr(dependencies, "may_go_on", lambda context: lambda: False)
    for _ in range(5):
        dead_event(operations)

    assert [redrive_all(operations) for _ in range(3)] == [
        {"redriven": 2, "left": 3},
        {"redriven": 2, "left": 1},
        {"redriven": 1, "left": 0},
    ]


def test_a_discarded_event_is_gone_and_on_record(operations: Operations) -> None:
    event_id = dead_event(operations)
    execute(operations.database, "UPDATE orders SET status = 'PROCESSING'")

    assert discard(operations, event_id, note="its order is processed").json == {"eventId": event_id}

    assert rows(operations.database, "SELECT id FROM outbox") == []
    (action,) = operations.actions()
    assert (action["action"], action["target"]) == ("EVENT_DISCARDED", event_id)
    assert action["order_id"] is not None
    assert action["detail"] == "type=com.orders.order.created.v1 last_error=InvalidEventData"
    assert discard(operations, event_id).status == 404, "and is not discarded twice"


def test_an_event_that_its_order_cannot_begin_without_is_kept(operations: Operations) -> None:
    event_id = dead_event(operations)

    answer = discard(operations, event_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "event-needed")
    assert len(rows(operations.database, "SELECT id FROM outbox")) == 1
    assert operations.actions() == []


@pytest.mark.parametrize("status", ["PENDING", "PUBLISHED"])
def test_an_event_that_is_not_dead_is_not_discarded(operations: Operations, status: str) -> None:
    event_id = dead_event(operations, status)
    # That its order has not begun would be another reason.
    execute(operations.database, "UPDATE orders SET status = 'PROCESSING'")

    assert discard(operations, event_id).status == 409
    assert len(rows(operations.database, "SELECT id FROM outbox")) == 1


def test_a_message_whose_event_is_discarded_waits_no_longer(operations: Operations) -> None:
    order_id = add_order(operations.database)
    for status in ("PROCESSING", "CONFIRMED"):
        execute(operations.database, "UPDATE orders SET status = :status", status=status)
    operations.database.transact(
        lambda connection: notifications.request(connection, order_id, Notification.ORDER_CONFIRMED, TRACE)
    )
    (event,) = rows(
        operations.database,
        "UPDATE outbox SET status = 'DEAD' WHERE data ->> 'channel' = 'email' RETURNING id",
    )

    assert discard(operations, str(event["id"])).status == 200

    found = rows(operations.database, "SELECT channel, status, error FROM notifications ORDER BY channel")
    assert found == [
        {"channel": "email", "status": "FAILED", "error": "EventDiscarded"},
        {"channel": "sms", "status": "QUEUED", "error": None},
    ]
