"""Operators find orders by whatever they know of one, page by page, and take the list with them as CSV."""

import base64
import csv
import io
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest

from functions.operations.orders import search
from orders.db import Database
from tests.integration.operations.support import ADMIN, Operations
from tests.support.api import Answer, every_page
from tests.support.factories import BOB, EMAIL, add_order, add_product, execute, rows
from tests.support.logs import Logs

ADDRESS = "Ada.Lovelace@example.com"
TELEPHONE = "+34600999888"


def ask(operations: Operations, accept: str = "application/json", **wanted: Any) -> Answer:
    return operations.admin.get(f"{ADMIN}/orders?{urlencode(wanted)}", {"Accept": accept})


def found(operations: Operations, **wanted: Any) -> list[str]:
    """The ids of one page."""
    answer = ask(operations, **wanted)
    assert answer.status == 200, answer.text
    return [item["orderId"] for item in answer.json["items"]]


def change(database: Database, order_id: UUID, **columns: Any) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    execute(database, f"UPDATE orders SET {assignments} WHERE id = :id", id=order_id, **columns)


def cancelled(database: Database, reason: str) -> UUID:
    order_id = add_order(database, user_id=BOB)
    change(database, order_id, status="PROCESSING")
    change(database, order_id, status="CANCELLED", failure_reason=reason)
    return order_id


@pytest.fixture
def orders(database: Database) -> list[str]:
    """Three orders, oldest first; the one in the middle is like no other."""
    before = add_order(database, user_id=BOB)
    tea = add_product(database, name="Tea")
    wanted = add_order(database, [(tea, 2)])
    change(
        database, wanted, contact_email=ADDRESS, contact_phone=TELEPHONE, correlation_id="correlation-of-ada"
    )
    change(database, wanted, status="PROCESSING")
    change(database, wanted, status="CANCELLED", failure_reason="FRAUD_SUSPECTED")
    execute(
        database, "UPDATE idempotency_keys SET key = 'key-of-ada' WHERE order_id = :order_id", order_id=wanted
    )
    return [str(before), str(wanted), str(add_order(database, user_id=BOB))]


@pytest.mark.parametrize(
    "wanted",
    [
        {"email": ADDRESS},
        {"email": ADDRESS.lower()},
        {"email": ADDRESS.upper()},
        {"phone": TELEPHONE},
        {"idempotencyKey": "key-of-ada"},
        {"correlationId": "correlation-of-ada"},
        {"status": "CANCELLED"},
        {"failureReason": "FRAUD_SUSPECTED"},
        {"status": "CANCELLED", "email": ADDRESS, "idempotencyKey": "key-of-ada", "phone": TELEPHONE},
        {"status": "CANCELLED", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00+02:00"},
        {"status": "CANCELLED", "from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"},
    ],
    ids=lambda wanted: " ".join(wanted),
)
def test_an_order_is_found_by_what_is_known_of_it(
    operations: Operations, orders: list[str], wanted: dict[str, str]
) -> None:
    assert found(operations, **wanted) == [orders[1]]


def test_an_order_is_found_by_its_id_and_by_its_product(operations: Operations, orders: list[str]) -> None:
    (line,) = rows(
        operations.database, "SELECT product_id FROM order_items WHERE order_id = :id", id=orders[1]
    )

    assert found(operations, orderId=orders[1]) == [orders[1]]
    assert found(operations, productId=line["product_id"]) == [orders[1]]
    assert found(operations, productId=line["product_id"], status="CANCELLED") == [orders[1]]
    assert found(operations, productId=line["product_id"], status="PENDING") == []
    assert found(operations, orderId=orders[0], productId=line["product_id"]) == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"email": "nobody@example.com"},
        {"email": ADDRESS, "status": "CONFIRMED"},
        {"email": ADDRESS, "failureReason": "PAYMENT_DECLINED"},
        {"email": ADDRESS, "phone": "+34600999889"},
        {"email": ADDRESS, "idempotencyKey": "another"},
        {"email": ADDRESS, "to": "2020-01-01T00:00:00Z"},
        {"from": "2100-01-01T00:00:00Z"},
        {"orderId": "01900000-0000-7000-8000-000000000001"},
    ],
    ids=lambda wanted: " ".join(wanted),
)
def test_all_that_is_given_must_be_true(
    operations: Operations, orders: list[str], wanted: dict[str, str]
) -> None:
    assert found(operations, **wanted) == []


def test_all_orders_are_listed_newest_first_or_oldest_first(
    operations: Operations, orders: list[str]
) -> None:
    assert found(operations) == orders[::-1]
    assert found(operations, sort="oldest") == orders


def test_the_time_range_begins_with_its_first_moment_and_ends_before_its_last(
    operations: Operations, orders: list[str]
) -> None:
    placed = [
        row["created_at"] for row in rows(operations.database, "SELECT created_at FROM orders ORDER BY id")
    ]
    assert all(isinstance(moment, datetime) for moment in placed)
    first, middle, last = (moment.isoformat() for moment in placed)

    assert found(operations, **{"from": first, "to": last}, sort="oldest") == orders[:2]
    assert found(operations, **{"from": middle}, sort="oldest") == orders[1:]


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize(
    "wanted",
    [{}, {"status": "CANCELLED"}, {"failureReason": "PAYMENT_DECLINED"}],
    ids=lambda wanted: "".join(wanted),
)
def test_pages_have_every_order_once(operations: Operations, wanted: dict[str, str], sort: str) -> None:
    orders = [str(cancelled(operations.database, "PAYMENT_DECLINED")) for _ in range(5)]

    pages = every_page(operations.admin, f"{ADMIN}/orders", limit=2, sort=sort, **wanted)

    assert [len(page) for page in pages] == [2, 2, 1]
    listed = [item["orderId"] for page in pages for item in page]
    assert listed == (orders if sort == "oldest" else orders[::-1])


@pytest.mark.parametrize("statements", [1, 10])
def test_what_is_combined_is_read_in_pieces_and_nothing_is_left_out(
    operations: Operations, monkeypatch: pytest.MonkeyPatch, statements: int
) -> None:
    """A page of a rare combination may end before it is full, and the next one goes on there."""
    monkeypatch.setattr(search, "EXAMINED", 2)
    monkeypatch.setattr(search.search, "__defaults__", (statements,))
    wanted = one_of_many(operations)

    pages = every_page(operations.admin, f"{ADMIN}/orders", limit=1, email=EMAIL, phone=quote(TELEPHONE))

    assert flat(pages) == [wanted]
    assert (pages[0] == []) == (statements == 1)


def one_of_many(operations: Operations) -> str:
    """The oldest of six orders, which have one e-mail address and several telephones."""
    orders = [add_order(operations.database) for _ in range(6)]
    change(operations.database, orders[0], contact_phone=TELEPHONE)
    return str(orders[0])


def flat(pages: list[list[dict[str, Any]]]) -> list[str]:
    return [item["orderId"] for page in pages for item in page]


def test_a_cursor_belongs_to_its_search_and_does_not_say_what_it_was(operations: Operations) -> None:
    for _ in range(2):
        change(operations.database, add_order(operations.database), contact_email=ADDRESS)
    cursor = ask(operations, email=ADDRESS, limit=1).json["nextCursor"]

    assert found(operations, email=ADDRESS, limit=1, cursor=cursor)
    for other in ({}, {"email": "bob@example.com"}, {"email": ADDRESS, "sort": "oldest"}):
        answer = ask(operations, **other, cursor=cursor)
        assert (answer.status, answer.pointers) == (422, ["#/query/cursor"])
    assert b"example" not in base64.urlsafe_b64decode(cursor + "==")


def test_orders_show_neither_contact_data_nor_payment_method(
    operations: Operations, orders: list[str]
) -> None:
    answer = ask(operations, email=ADDRESS)

    assert answer.json["items"] == [
        {
            "orderId": orders[1],
            "status": "CANCELLED",
            "failureReason": "FRAUD_SUSPECTED",
            "totalAmount": 2500,
            "currency": "USD",
            "correlationId": "correlation-of-ada",
            **{name: answer.json["items"][0][name] for name in ("createdAt", "updatedAt")},
        }
    ]


def test_an_order_whose_contact_data_is_erased_is_not_found_by_it(
    operations: Operations, orders: list[str]
) -> None:
    change(operations.database, UUID(orders[1]), contact_email=None, contact_phone=None)

    assert found(operations, email=ADDRESS) == found(operations, phone=TELEPHONE) == []
    assert found(operations, correlationId="correlation-of-ada") == [orders[1]]


@pytest.mark.parametrize(
    "wanted", [{"email": ADDRESS}, {"email": "ada canary"}, {"email": ADDRESS, "x": "1"}]
)
def test_whom_an_operator_looks_for_is_in_no_log(
    operations: Operations, logs: Logs, wanted: dict[str, str]
) -> None:
    for accept in ("application/json", "text/csv"):
        ask(operations, accept, **wanted)

    for written in (logs.everything, logs.everything.lower()):
        assert "lovelace" not in written.lower()
        assert "canary" not in written


def cells(answer: Answer) -> list[list[str]]:
    assert answer.status == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


def test_the_list_is_exported_as_csv(operations: Operations, orders: list[str]) -> None:
    answer = ask(operations, "text/csv", sort="oldest")

    head, *lines = cells(answer)
    assert head == [
        *("orderId", "status", "failureReason", "totalAmount", "currency", "correlationId"),
        *("createdAt", "updatedAt"),
    ]
    assert [line[0] for line in lines] == orders
    assert lines[1][1:6] == ["CANCELLED", "FRAUD_SUSPECTED", "2500", "USD", "correlation-of-ada"]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert "next-cursor" not in answer.headers
    assert answer.text.count("\r\n") == 4


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/json, text/csv"])
def test_without_a_wish_for_csv_the_list_is_json(operations: Operations, accept: str) -> None:
    assert ask(operations, accept).json == {"items": [], "nextCursor": None}


@pytest.mark.parametrize("wish", ["=cmd|calc", "+12345678", "-12345678", "@SUM(A1)", "\tx=1", "\rx=1"])
def test_no_cell_is_a_formula(operations: Operations, wish: str) -> None:
    """A caller chooses the correlation id, and the one of `-12345678` is accepted."""
    change(operations.database, add_order(operations.database), correlation_id=wish)

    assert cells(ask(operations, "text/csv"))[1][5] == f"'{wish}"


def test_a_list_that_is_longer_than_one_document_says_where_it_goes_on(
    operations: Operations, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(operations, "text/csv", sort="oldest", limit=2)
    second = ask(operations, "text/csv", sort="oldest", limit=2, cursor=first.headers["next-cursor"])

    assert [line[0] for line in cells(first)[1:] + cells(second)[1:]] == orders
    assert "next-cursor" not in second.headers


def test_an_export_goes_on_where_a_page_would_end(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXAMINED", 2)
    wanted = one_of_many(operations)

    exported = cells(ask(operations, "text/csv", email=EMAIL, phone=TELEPHONE, limit=1))

    assert [line[0] for line in exported[1:]] == [wanted]
