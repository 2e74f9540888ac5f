"""GET /admin/products and the movements of a product: pages to their end, and for administrators only."""

from uuid import uuid4

import pytest

from orders.db import Database
from tests.integration.manage_catalogue.catalogue_api import PRODUCTS, Product
from tests.support.api import Answer, Client, every_page
from tests.support.factories import add_product, execute


def test_all_products_are_listed_with_their_stock_also_those_that_are_not_on_sale(
    admin: Client, coffee: Product, database: Database
) -> None:
    withdrawn = add_product(database, active=False, available=3)

    answer = admin.get(PRODUCTS)

    assert answer.json["nextCursor"] is None
    assert answer.json["items"][0] == coffee.now
    assert [(item["productId"], item["active"], item["stocked"]) for item in answer.json["items"]] == [
        (coffee.id, True, 10),
        (str(withdrawn.product_id), False, 3),
    ]


@pytest.mark.parametrize(("products", "sizes"), [(0, [0]), (2, [2]), (3, [2, 1]), (4, [2, 2])])
def test_products_come_in_every_page(
    admin: Client, database: Database, products: int, sizes: list[int]
) -> None:
    made = [str(add_product(database).product_id) for _ in range(products)]

    found = every_page(admin, PRODUCTS, limit=2)

    assert [len(page) for page in found] == sizes
    assert [item["productId"] for page in found for item in page] == made


def test_movements_come_in_pages_newest_first_and_are_the_products_own(
    coffee: Product, admin: Client, database: Database
) -> None:
    other = Product(admin, str(add_product(database).product_id))
    for delta in (1, 2, 3):
        other.adjust(delta)
        coffee.adjust(delta)

    found = every_page(admin, f"{coffee.address}/movements", limit=2)

    assert [[item["quantity"] for item in page] for page in found] == [[3, 2], [1, 10]]


def test_a_cursor_of_another_list_is_refused(coffee: Product, admin: Client, database: Database) -> None:
    other = Product(admin, str(add_product(database).product_id))
    other.adjust(1)
    other.adjust(1)
    of_movements = admin.get(f"{other.address}/movements?limit=1").json["nextCursor"]
    of_products = admin.get(f"{PRODUCTS}?limit=1").json["nextCursor"]
    assert of_movements
    assert of_products

    for path, cursor in (
        (PRODUCTS, of_movements),
        (f"{coffee.address}/movements", of_movements),
        (f"{other.address}/movements", of_products),
    ):
        answer = admin.get(f"{path}?cursor={cursor}")
        assert (answer.status, answer.pointers) == (422, ["#/query/cursor"])


def every_route(client: Client, product: Product) -> list[Answer]:
    key = {"Idempotency-Key": uuid4().hex}
    return [
        client.get(PRODUCTS),
        client.post(PRODUCTS, {"name": "Tea", "unitPrice": 1, "currency": "USD", "stock": 1}, key),
        client.get(product.address),
        client.patch(product.address, {"unitPrice": 1}, {"If-Match": "*"}),
        client.post(f"{product.address}/stock-adjustments", {"delta": 1, "reason": "r"}, key),
        client.get(f"{product.address}/movements"),
    ]


@pytest.mark.parametrize("groups", [None, "[]", "[support]", "[administrators]", "[not-admin]"])
def test_nobody_but_administrators_is_let_in(
    admin: Client, coffee: Product, database: Database, groups: str | None
) -> None:
    """Trap T12: customers must not create stock, reserve it all, or take products off sale."""
    before = coffee.now

    for answer in every_route(Client(admin.handler, groups=groups), coffee):
        assert answer.status == 403
        assert answer.json["type"].endswith("/administrators-only")

    assert admin.get(PRODUCTS).json["items"] == [before]
    assert len(coffee.movements) == 1


def test_products_that_are_low_on_stock_are_listed_alone_page_by_page(
    admin: Client, database: Database
) -> None:
    low = [add_product(database, name=f"Low {number}", active=number != 1).product_id for number in range(3)]
    add_product(database, name="Plenty")
    execute(
        database,
        "UPDATE stock SET low_since = now() WHERE product_id = ANY (CAST(:ids AS uuid[]))",
        ids=low,
    )

    pages = every_page(admin, PRODUCTS, limit=2, lowStock="true")

    assert [[item["productId"] for item in page] for page in pages] == [
        [str(low[0]), str(low[1])],
        [str(low[2])],
    ]
    assert len(admin.get(f"{PRODUCTS}?lowStock=false").json["items"]) == 4


def test_a_cursor_of_all_products_is_none_of_those_that_are_low(admin: Client, database: Database) -> None:
    for _ in range(2):
        add_product(database)
    cursor = admin.get(f"{PRODUCTS}?limit=1").json["nextCursor"]

    assert admin.get(f"{PRODUCTS}?limit=1&lowStock=true&cursor={cursor}").status == 422
