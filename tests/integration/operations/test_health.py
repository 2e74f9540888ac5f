"""The detailed health tells of each part, and no part takes another with it."""

import json
from typing import Any

import pytest

from functions.operations import dependencies
from orders.db import Credentials, Database
from orders.events import Queue
from tests.integration.operations.support import Operations, SilentSqs
from tests.support.api import lambda_context
from tests.support.factories import add_order, execute
from tools.http_event import http_event

HEALTH = "/api/v1/health/detailed"


def health(operations: Operations) -> Any:
    answer = operations.admin.get(HEALTH)
    assert answer.status == 200
    return answer.json


def test_a_system_at_rest_is_up_in_every_part(operations: Operations) -> None:
    told = health(operations)

    # How much memory and disk are left is this machine's affair.
    machine = {told.pop("memory")["status"], told["disk"]["status"]}
    status = "degraded" if "degraded" in machine else "up"
    assert (told.pop("status"), told.pop("reason") is None) == (status, status == "up")
    assert {name: part["status"] for name, part in told.items() if name != "disk"} == dict.fromkeys(
        ("database", "queues", "relay", "paymentGateway", "orders", "refunds"), "up"
    )
    assert told["database"]["latencyMs"] > 0
    assert (told["database"]["poolSize"], told["database"]["poolInUse"]) == (1, 0)
    assert 0 < told["database"]["connections"] <= told["database"]["maxConnections"]
    assert [queue["name"] for queue in told["queues"]["queues"]] == list(Queue)
    assert told["disk"]["freeMb"] > 0
    assert told["paymentGateway"]["state"] == "CLOSED"


@pytest.mark.parametrize(("limit_mb", "status"), [(11, "degraded"), (100_000, "up")])
def test_memory_is_held_against_its_limit(operations: Operations, limit_mb: int, status: str) -> None:
    event = http_event("GET", HEALTH, groups="[admin]")

    # Lambda gives the limit as text.
    answer = operations.admin.handler(event, lambda_context(memory_limit_in_mb=str(limit_mb)))

    memory = json.loads(answer["body"])["memory"]
    assert (memory["status"], memory["limitMb"]) == (status, limit_mb)
    assert memory["reason"] == (f"{memory['usedMb']} of 11 MB are in use" if status == "degraded" else None)
    assert memory["usedMb"] > 10


def test_orders_on_their_way_and_events_that_wait_are_counted(operations: Operations) -> None:
    for status in ("PENDING", "PENDING", "PROCESSING", "NEEDS_REVIEW"):
        order_id = add_order(operations.database)
        if status != "PENDING":
            execute(
                operations.database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :id", id=order_id
            )
        if status == "NEEDS_REVIEW":
            execute(
                operations.database, "UPDATE orders SET status = :s WHERE id = :id", id=order_id, s=status
            )

    told = health(operations)

    assert told["orders"] == {
        "status": "degraded",
        "reason": "1 order under review",
        "pending": 2,
        "processing": 1,
        "needsReview": 1,
    }
    assert told["relay"]["pending"] == 4
    assert told["status"] == "degraded"


def test_events_that_wait_too_long_and_dead_ones_are_told(operations: Operations) -> None:
    add_order(operations.database)
    execute(operations.database, "UPDATE outbox SET available_at = now() - interval '5 minutes'")
    told = health(operations)["relay"]
    assert told["status"] == "degraded"
    assert 300 <= told["lagSeconds"] < 400
    assert told["reason"].startswith("the oldest of 1 event waits for 3")

    execute(operations.database, "UPDATE outbox SET status = 'DEAD'")
    told = health(operations)["relay"]
    assert (told["status"], told["dead"], told["lagSeconds"]) == ("degraded", 1, 0)
    assert told["reason"] == "1 event could not be published"


def test_a_dead_letter_is_told(operations: Operations) -> None:
    operations.bury(Queue.ORDER_PROCESSING, "poison")
    for _ in range(2):
        operations.bury(Queue.NOTIFICATION_SENDING, "poison")

    told = health(operations)

    assert told["queues"]["status"] == "degraded"
    named = "order-processing: 1 message given up; notification-sending: 2 messages given up"
    assert told["queues"]["reason"] == named
    assert f"queues: {named}" in told["reason"]


@pytest.mark.parametrize(
    ("since", "state"), [("+ interval '1 minute'", "OPEN"), ("- interval '1 s'", "PROBING")]
)
def test_an_open_circuit_is_told(operations: Operations, since: str, state: str) -> None:
    execute(
        operations.database,
        "INSERT INTO circuit_breakers (name, failures, open_until) "
        f"VALUES ('payment-gateway', 5, now() {since})",
    )

    told = health(operations)["paymentGateway"]
    assert told.pop("reason").startswith("the payment gateway failed 5 times in a row: ")
    assert told == {"status": "degraded", "state": state, "failures": 5}


def test_without_sqs_the_other_parts_are_told_all_the_same(operations: Operations) -> None:
    operations.talk_to(SilentSqs())

    told = health(operations)

    assert told["status"] == told["queues"]["status"] == "down"
    assert told["queues"]["reason"] == "SQS does not answer"
    assert (told["database"]["status"], told["database"]["reason"]) == ("up", None)


def test_a_database_that_refuses_us_is_told_as_one_that_is_down(
    operations: Operations, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = credentials.model_copy(update={"username": "nobody"})
    monkeypatch.setattr(dependencies, "database", Database(lambda: stranger))

    assert health(operations)["database"]["status"] == "down"


def test_without_the_database_the_other_parts_are_told_all_the_same(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Credentials(username="orders", password="secret", host="/nowhere", port=5432, dbname="orders")
    monkeypatch.setattr(dependencies, "database", Database(lambda: nowhere))
    monkeypatch.setattr("orders.db.BACKOFF_SECONDS", (0.0,) * 4)

    told = health(operations)

    assert told["status"] == told["database"]["status"] == "down"
    assert told["database"]["latencyMs"] is None
    assert told["database"]["reason"] == "it does not answer"
    assert told["relay"]["reason"] == told["orders"]["reason"] == "the database does not answer"
    assert (
        told["relay"]["status"] == told["orders"]["status"] == told["paymentGateway"]["status"] == "unknown"
    )
    assert told["queues"]["status"] == "up"
    assert "secret" not in str(told)
