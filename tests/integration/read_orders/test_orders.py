"""GET /orders/{orderId}: the owner's view of an order."""

from datetime import UTC, datetime, timedelta

import pytest

from orders.db import Database
from tests.support.api import Client
from tests.support.factories import add_order, add_product, execute


def test_an_order_is_shown_as_it_was_placed(alice: Client, database: Database) -> None:
    coffee, tea = add_product(database, unit_price=1250), add_product(database, name="Tea", unit_price=300)
    order_id = add_order(database, [(tea, 5), (coffee, 2)])

    answer = alice.get(f"/api/v1/orders/{order_id}")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    order = answer.json
    times = [datetime.fromisoformat(order.pop(name)) for name in ("createdAt", "updatedAt")]
    assert order == {
        "orderId": str(order_id),
        "status": "PENDING",
        "failureReason": None,
        "items": [
            {"productId": str(tea.product_id), "productName": "Tea", "quantity": 5, "unitPrice": 300},
            {
                "productId": str(coffee.product_id),
                "productName": "Coffee beans",
                "quantity": 2,
                "unitPrice": 1250,
            },
        ],
        "totalAmount": 4000,
        "currency": "USD",
        "priority": "normal",
        "refundedAmount": 0,
        "refunds": [],
        "cancellation": {
            "possible": True,
            "possibleUntil": None,
            "requestedAt": None,
            "outcome": None,
            "refundId": None,
        },
    }
    for time in times:
        assert time.utcoffset() == timedelta(0)
        assert abs(time - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_urgent_order_says_so(alice: Client, database: Database) -> None:
    order_id = add_order(database)
    execute(database, "UPDATE orders SET priority = 'high'")

    assert alice.get(f"/api/v1/orders/{order_id}").json["priority"] == "high"


def test_what_has_not_changed_is_not_sent_again(alice: Client, database: Database) -> None:
    order_id = add_order(database)
    first = alice.get(f"/api/v1/orders/{order_id}")
    known = {"If-None-Match": first.headers["etag"]}

    again = alice.get(f"/api/v1/orders/{order_id}", known)
    execute(database, "UPDATE orders SET status = 'PROCESSING', updated_at = now()")

    assert (again.status, again.text) == (304, "")
    assert alice.get(f"/api/v1/orders/{order_id}", known).status == 200


@pytest.mark.parametrize("path", ["/api/v1/orders", "/api/v1/orders/{}", "/api/v1/orders/{}/status"])
def test_an_order_is_kept_by_nobody(alice: Client, database: Database, path: str) -> None:
    answer = alice.get(path.format(add_order(database)))

    assert answer.headers["cache-control"] == "no-store"
    assert "etag" in answer.headers


def test_a_later_price_does_not_change_it(alice: Client, database: Database) -> None:
    order_id = add_order(database, [(add_product(database, unit_price=1250), 2)])
    execute(database, "UPDATE products SET unit_price = 1, active = false")

    order = alice.get(f"/api/v1/orders/{order_id}").json

    assert (order["totalAmount"], order["items"][0]["unitPrice"]) == (2500, 1250)


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED", "NEEDS_REVIEW"])
def test_it_says_how_the_order_ended(alice: Client, database: Database, status: str) -> None:
    order_id = add_order(database)
    reason = None if status == "CONFIRMED" else "PAYMENT_DECLINED"
    execute(database, "UPDATE orders SET status = 'PROCESSING'")
    execute(
        database, "UPDATE orders SET status = :status, failure_reason = :reason", status=status, reason=reason
    )

    order = alice.get(f"/api/v1/orders/{order_id}").json

    assert (order["status"], order["failureReason"]) == (status, reason)
