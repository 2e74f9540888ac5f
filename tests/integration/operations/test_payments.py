"""Payments of all orders: those first that somebody should look at, each with why."""

from typing import Any
from uuid import UUID

import pytest

from functions.operations import dependencies, payments
from orders import repairs
from orders.db import Database
from orders.repairs import Repair
from tests.integration.operations.support import ADMIN, Operations
from tests.support.api import every_page
from tests.support.factories import add_order, execute


def add_payment(
    database: Database, status: str = "CAPTURED", order: str = "CONFIRMED", captured: int | None = None
) -> str:
    """An order over 25.00 that is `order`, with a payment that is `status`."""
    order_id = add_order(database)
    for step in ("PROCESSING", order):
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", id=order_id, status=step)
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured, provider_payment_id) "
        "VALUES (:id, :key, :status, 2500, 'USD', :captured, 'pi_1')",
        id=order_id,
        key=f"order-{order_id}",
        status=status,
        captured=(2500 if status == "CAPTURED" else 0) if captured is None else captured,
    )
    return str(order_id)


def listed(operations: Operations, query: str = "") -> list[dict[str, Any]]:
    answer = operations.admin.get(f"{ADMIN}/payments?{query}")
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["orderId"] for item in items]


def test_a_payment_is_shown_with_its_order(operations: Operations) -> None:
    order_id = add_payment(operations.database)

    (payment,) = listed(operations)

    assert payment.pop("updatedAt")
    assert payment == {
        "orderId": order_id,
        "orderStatus": "CONFIRMED",
        "status": "CAPTURED",
        "amount": 2500,
        "currency": "USD",
        "captured": 2500,
        "refunded": 0,
        "attempts": 1,
        "providerPaymentId": "pi_1",
        "finding": None,
    }


def test_what_somebody_should_look_at_comes_first_and_nothing_comes_twice(operations: Operations) -> None:
    database = operations.database
    unknown = add_payment(database, "UNKNOWN", "PROCESSING")
    review = add_payment(database, order="NEEDS_REVIEW")
    conflict = add_payment(database)
    database.transact(
        lambda connection: repairs.record(
            connection, Repair.PAYMENT_CONFLICT, UUID(conflict), {"recorded": "CAPTURED", "gateway": "VOIDED"}
        )
    )
    others = [add_payment(database), add_payment(database, "PENDING", "PROCESSING")]
    expected = [conflict, review, unknown, *reversed(others)]

    assert ids(listed(operations)) == expected
    for limit in (1, 2, 3, 4):
        paged = every_page(operations.admin, f"{ADMIN}/payments", limit=limit)
        assert [item["orderId"] for page in paged for item in page] == expected
    findings = [item["finding"] for item in listed(operations)]
    assert findings[3:] == [None, None]
    assert findings[0] == "the payment provider's record differs: recorded=CAPTURED gateway=VOIDED"
    assert findings[1] == "the order needs review"
    assert findings[2].startswith("nobody knows yet whether it was captured")


@pytest.mark.parametrize(
    ("order", "captured", "held", "due"),
    [("CANCELLED", 2500, "USD 25.00", "USD 0.00"), ("CONFIRMED", 0, "USD 0.00", "USD 25.00")],
)
def test_books_that_disagree_with_the_order_s_end_are_in_conflict(
    operations: Operations, order: str, captured: int, held: str, due: str
) -> None:
    status = "CAPTURED" if captured else "DECLINED"
    wrong = add_payment(operations.database, status, order)
    add_payment(operations.database)
    add_payment(operations.database, "DECLINED", "CANCELLED")

    (found,) = listed(operations, "status=CONFLICT")

    assert found["orderId"] == wrong
    assert found["finding"] == f"the order is {order}, but {held} is held instead of {due}"


def test_a_refund_that_was_given_back_is_no_conflict(operations: Operations) -> None:
    order_id = add_payment(operations.database)
    execute(
        operations.database,
        "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock, status, refunded_at) "
        "VALUES (gen_random_uuid(), :id, 'OPERATOR', 'o', 'r', 500, false, 'COMPLETED', now())",
        id=order_id,
    )
    assert ids(listed(operations, "status=CONFLICT")) == [order_id], "and our books do not know"

    execute(operations.database, "UPDATE payments SET refunded = 500 WHERE order_id = :id", id=order_id)

    assert listed(operations, "status=CONFLICT") == []


def test_a_conflict_that_was_settled_since_is_none(operations: Operations) -> None:
    order_id = add_payment(operations.database)
    operations.database.transact(
        lambda connection: repairs.record(connection, Repair.PAYMENT_CONFLICT, UUID(order_id), {})
    )
    assert ids(listed(operations, "status=CONFLICT")) == [order_id]

    execute(operations.database, "UPDATE payments SET updated_at = now()")

    assert listed(operations, "status=CONFLICT") == []


@pytest.mark.parametrize(
    ("status", "order"),
    [
        ("PENDING", "PROCESSING"),
        ("UNKNOWN", "PROCESSING"),
        ("ACTION_REQUIRED", "PROCESSING"),
        ("CAPTURED", "CONFIRMED"),
        ("DECLINED", "CANCELLED"),
        ("VOIDED", "CANCELLED"),
        ("REFUNDED", "CANCELLED"),
    ],
)
def test_payments_are_listed_by_their_status(operations: Operations, status: str, order: str) -> None:
    wanted = [add_payment(operations.database, status, order, captured=0) for _ in range(3)]
    add_payment(operations.database, "DECLINED" if status != "DECLINED" else "VOIDED", "CANCELLED")

    pages = every_page(operations.admin, f"{ADMIN}/payments", limit=2, status=status)

    assert [ids(page) for page in pages] == [wanted[:0:-1], wanted[:1]]


def test_a_page_may_be_empty_and_be_followed_by_another(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "EXAMINED", 2)
    monkeypatch.setattr(dependencies, "may_go_on", lambda context: lambda: False)
    wrong = add_payment(operations.database, order="CANCELLED")
    for _ in range(4):
        add_payment(operations.database)

    pages = every_page(operations.admin, f"{ADMIN}/payments", limit=1, status="CONFLICT")

    assert [ids(page) for page in pages] == [[], [], [wrong]]


def test_a_cursor_belongs_to_its_list(operations: Operations) -> None:
    for _ in range(2):
        add_payment(operations.database)
    cursor = operations.admin.get(f"{ADMIN}/payments?limit=1").json["nextCursor"]

    answer = operations.admin.get(f"{ADMIN}/payments?limit=1&status=CAPTURED&cursor={cursor}")

    assert (answer.status, answer.pointers) == (422, ["#/query/cursor"])


def test_a_status_that_is_none_is_refused(operations: Operations) -> None:
    assert operations.admin.get(f"{ADMIN}/payments?status=PAID").status == 422
