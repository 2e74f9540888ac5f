"""GET /orders: the caller's own orders, newest first, a page at a time."""

from datetime import datetime
from uuid import UUID

import pytest

from orders.db import Database
from orders.domain import OrderStatus
from tests.support.api import Client, every_page
from tests.support.factories import BOB, add_order, add_product, execute

ORDERS = "/api/v1/orders"
MANY = 7


@pytest.fixture
def order_ids(database: Database) -> list[UUID]:
    """Alice's orders, oldest first, with others of Bob's between them."""
    product = add_product(database)
    made = []
    for _ in range(MANY):
        made.append(add_order(database, [(product, 1)]))
        add_order(database, [(product, 1)], user_id=BOB)
    return made


def set_status(database: Database, order_id: UUID, *statuses: str) -> None:
    for status in statuses:
        execute(database, "UPDATE orders SET status = :status WHERE id = :id", status=status, id=order_id)


def test_an_order_is_listed_as_its_detail_begins(alice: Client, database: Database) -> None:
    order_id = add_order(database, [(add_product(database), 3), (add_product(database), 1)])

    answer = alice.get(ORDERS)

    assert answer.status == 200
    assert answer.json.keys() == {"items", "nextCursor"}
    detail = alice.get(f"{ORDERS}/{order_id}").json
    (listed,) = answer.json["items"]
    assert listed.pop("itemCount") == len(detail["items"])
    assert listed == {name: detail[name] for name in listed}
    assert {"orderId", "status", "totalAmount", "createdAt"} <= listed.keys()
    assert datetime.fromisoformat(detail["createdAt"]).utcoffset() is not None


@pytest.mark.parametrize("limit", [1, 3, MANY - 1, MANY, MANY + 1])
def test_the_pages_together_are_the_callers_orders_newest_first(
    alice: Client, order_ids: list[UUID], limit: int
) -> None:
    """Traps T8, T23: none of another customer's, none twice, none left out, and no empty page at the end."""
    pages = every_page(alice, ORDERS, limit=limit)

    assert [item["orderId"] for page in pages for item in page] == [str(id) for id in reversed(order_ids)]
    assert all(len(page) == limit for page in pages[:-1])
    assert 1 <= len(pages[-1]) <= limit


def test_somebody_without_orders_has_an_empty_list(order_ids: list[UUID], alice: Client) -> None:
    stranger = Client(alice.handler, user_id="carol-0001")

    assert stranger.get(ORDERS).json == {"items": [], "nextCursor": None}


def test_a_page_has_twenty_orders_unless_another_number_is_asked_for(
    alice: Client, database: Database
) -> None:
    product = add_product(database)
    for _ in range(21):
        add_order(database, [(product, 1)])

    assert len(alice.get(ORDERS).json["items"]) == 20
    assert len(alice.get(f"{ORDERS}?limit=100").json["items"]) == 21


def test_what_is_placed_meanwhile_shifts_nothing(
    alice: Client, database: Database, order_ids: list[UUID]
) -> None:
    first = alice.get(f"{ORDERS}?limit=3").json
    add_order(database)

    second = alice.get(f"{ORDERS}?limit=3&cursor={first['nextCursor']}").json

    assert [item["orderId"] for item in second["items"]] == [str(id) for id in reversed(order_ids[1:4])]


@pytest.mark.parametrize("status", list(OrderStatus))
def test_only_orders_in_one_status_are_listed_if_asked_for(
    alice: Client, database: Database, order_ids: list[UUID], status: OrderStatus
) -> None:
    for order_id, *statuses in (
        (order_ids[1], "PROCESSING"),
        (order_ids[2], "PROCESSING", "CONFIRMED"),
        (order_ids[3], "PROCESSING", "CANCELLED"),
        (order_ids[4], "PROCESSING", "NEEDS_REVIEW"),
        (order_ids[5], "PROCESSING", "CONFIRMED"),
    ):
        set_status(database, order_id, *statuses)
    expected = {
        OrderStatus.PENDING: [6, 0],
        OrderStatus.PROCESSING: [1],
        OrderStatus.CONFIRMED: [5, 2],
        OrderStatus.CANCELLED: [3],
        OrderStatus.NEEDS_REVIEW: [4],
    }

    pages = every_page(alice, ORDERS, limit=1, status=status)

    assert [item["orderId"] for page in pages for item in page] == [
        str(order_ids[n]) for n in expected[status]
    ]
    assert {item["status"] for page in pages for item in page} == {status}


class TestCursors:
    @pytest.fixture
    def cursor(self, alice: Client, order_ids: list[UUID]) -> str:
        cursor = alice.get(f"{ORDERS}?limit=2").json["nextCursor"]
        assert cursor
        return str(cursor)

    @pytest.mark.parametrize(
        "garbled",
        [
            "x",
            "nonsense",
            "{cursor}x",
            "{cursor}=",
            "{cursor} ",
            "{half}",
            "{lower}",
            "018f3f7e-0000-7000-8000-000000000001",
            "MSBub25zZW5zZSBvcmRlcnM",
            "é",
            "____",
            "%00",
        ],
    )
    def test_a_garbled_one_is_refused_by_name(self, alice: Client, cursor: str, garbled: str) -> None:
        sent = garbled.format(cursor=cursor, half=cursor[: len(cursor) // 2], lower=cursor.lower())

        answer = alice.get(f"{ORDERS}?cursor={sent}")

        assert (answer.status, answer.pointers) == (422, ["#/query/cursor"])
        assert "nextCursor" in answer.json["errors"][0]["detail"]

    def test_one_of_another_filter_is_refused(self, alice: Client, cursor: str) -> None:
        """It would leave orders out without a word."""
        of_pending = alice.get(f"{ORDERS}?status=PENDING&limit=2").json["nextCursor"]
        assert of_pending

        for query in (
            f"status=PENDING&cursor={cursor}",
            f"status=CONFIRMED&cursor={of_pending}",
            f"cursor={of_pending}",
        ):
            assert alice.get(f"{ORDERS}?{query}").pointers == ["#/query/cursor"]

    def test_one_of_another_list_is_refused(
        self, alice: Client, anyone: Client, cursor: str, database: Database
    ) -> None:
        add_product(database)
        of_products = anyone.get("/api/v1/products?limit=1").json["nextCursor"]
        assert of_products

        assert alice.get(f"{ORDERS}?cursor={of_products}").status == 422
        assert anyone.get(f"/api/v1/products?cursor={cursor}").status == 422

    def test_anothers_cursor_shows_nothing_of_theirs(self, bob: Client, cursor: str) -> None:
        """It is a place in time, and no more."""
        mine = {item["orderId"] for item in bob.get(ORDERS).json["items"]}

        shown = {item["orderId"] for item in bob.get(f"{ORDERS}?cursor={cursor}").json["items"]}

        assert shown < mine


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "#/query/limit"),
        ("limit=-1", "#/query/limit"),
        ("limit=101", "#/query/limit"),
        ("limit=ten", "#/query/limit"),
        ("limit=", "#/query/limit"),
        ("limit=99999999999999999999", "#/query/limit"),
        ("status=LOST", "#/query/status"),
        ("status=pending", "#/query/status"),
        ("status=", "#/query/status"),
        ("cursor=", "#/query/cursor"),
        ("email=ada%40example.com", "#/query/email"),
        ("limit=1&limit=2", "#/query/limit"),
        ("limit=1_0", "#/query/limit"),
        ("limit=%EF%BC%91", "#/query/limit"),
    ],
)
def test_a_wrong_parameter_is_named(alice: Client, query: str, pointer: str) -> None:
    answer = alice.get(f"{ORDERS}?{query}")

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert answer.json["errors"][0]["detail"].startswith("This ")


def test_amounts_are_whole_minor_units(alice: Client, database: Database) -> None:
    """Trap T19: as everywhere."""
    add_order(database, [(add_product(database, unit_price=1250), 2)])

    (order,) = alice.get(ORDERS).json["items"]

    assert (order["totalAmount"], type(order["totalAmount"])) == (2500, int)
