"""The system in numbers: what is open now, what the last hour brought, and what waits."""

from typing import Any
from uuid import UUID

from orders.events import Queue
from tests.integration.operations.support import ADMIN, Operations, SilentSqs
from tests.support.factories import add_order, add_product, execute, rows


def stats(operations: Operations) -> dict[str, Any]:
    answer = operations.admin.get(f"{ADMIN}/stats")
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def put(operations: Operations, order_id: UUID, *statuses: str) -> None:
    for status in statuses:
        execute(
            operations.database,
            "UPDATE orders SET status = :status WHERE id = :id",
            status=status,
            id=order_id,
        )


def placed_yesterday(operations: Operations, *statuses: str) -> None:
    """An order as it was placed then: its id has the time."""
    execute(
        operations.database,
        "INSERT INTO orders (id, user_id, currency, total_amount, locale, correlation_id) VALUES "
        "(CAST(lpad(to_hex(CAST(1000 * extract(epoch FROM now() - interval '1 day') AS bigint)), 12, '0') "
        "|| '70008000000000000001' AS uuid), 'u', 'USD', 1, 'en', 'correlation')",
    )
    (order,) = rows(operations.database, "SELECT id FROM orders ORDER BY id LIMIT 1")
    put(operations, order["id"], *statuses)


def test_an_empty_system_has_nothing_to_tell(operations: Operations) -> None:
    told = stats(operations)

    assert told["lastHour"] == {
        "pending": 0,
        "processing": 0,
        "confirmed": 0,
        "cancelled": 0,
        "needsReview": 0,
    }
    assert (told["sagasInFlight"], told["unknownPayments"], told["lowStockProducts"]) == (0, 0, 0)
    assert (told["relay"]["pending"], told["relay"]["oldestEventAt"]) == (0, None)
    assert told["paymentGateway"]["state"] == "CLOSED"
    assert {queue["name"] for queue in told["queues"]["queues"]} == set(Queue)


def test_orders_are_counted_now_and_over_the_last_hour(operations: Operations) -> None:
    placed_yesterday(operations, "PROCESSING", "CONFIRMED")
    for statuses in (
        (),
        ("PROCESSING",),
        ("PROCESSING",),
        ("PROCESSING", "CONFIRMED"),
        ("PROCESSING", "CANCELLED"),
        ("PROCESSING", "NEEDS_REVIEW"),
    ):
        put(operations, add_order(operations.database), *statuses)

    told = stats(operations)

    assert {name: told["orders"][name] for name in ("pending", "processing", "needsReview")} == {
        "pending": 1,
        "processing": 2,
        "needsReview": 1,
    }
    assert told["lastHour"] == {
        "pending": 1,
        "processing": 2,
        "confirmed": 1,
        "cancelled": 1,
        "needsReview": 1,
    }
    assert told["sagasInFlight"] == 2


def test_what_waits_is_told(operations: Operations) -> None:
    product = add_product(operations.database)
    order_id = add_order(operations.database)
    for statement in (
        f"UPDATE stock SET low_since = now() WHERE product_id = '{product.product_id}'",
        "INSERT INTO payments (order_id, provider_key, status, amount, currency) "
        f"VALUES ('{order_id}', 'k', 'UNKNOWN', 1, 'USD')",
        "UPDATE outbox SET created_at = '2026-11-27T10:00:00Z', available_at = now() - interval '2 minutes'",
        "INSERT INTO circuit_breakers (name, failures, open_until) "
        "VALUES ('payment-gateway', 5, now() + interval '1 minute')",
    ):
        execute(operations.database, statement)
    operations.bury(Queue.ORDER_PROCESSING, "nonsense")

    told = stats(operations)

    assert (told["unknownPayments"], told["lowStockProducts"]) == (1, 1)
    assert told["relay"]["oldestEventAt"] == "2026-11-27T10:00:00Z"
    assert told["relay"]["lagSeconds"] >= 120
    assert (told["relay"]["pending"], told["relay"]["status"]) == (1, "degraded")
    dead = {queue["name"]: queue["dlq"]["visible"] for queue in told["queues"]["queues"]}
    assert {name: count for name, count in dead.items() if count} == {"order-processing": 1}
    assert told["paymentGateway"]["state"] == "OPEN"


def test_without_sqs_the_rest_is_told(operations: Operations) -> None:
    operations.talk_to(SilentSqs())

    told = stats(operations)

    assert (told["queues"]["status"], told["queues"]["queues"]) == ("down", [])
    assert told["orders"]["pending"] == 0


def test_while_nothing_moves_nothing_is_sent(operations: Operations) -> None:
    first = operations.admin.get(f"{ADMIN}/stats")

    assert operations.admin.get(f"{ADMIN}/stats", {"If-None-Match": first.headers["etag"]}).status == 304
    add_order(operations.database)
    assert operations.admin.get(f"{ADMIN}/stats", {"If-None-Match": first.headers["etag"]}).status == 200
