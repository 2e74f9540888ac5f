"""GET /products and /products/{productId}: the catalogue, open to anyone."""

from uuid import UUID, uuid4

import pytest

from orders.db import Database
from tests.support.api import Client, every_page
from tests.support.factories import add_product, execute


def test_a_product_is_shown_with_what_can_be_had_now(anyone: Client, database: Database) -> None:
    product = add_product(database, name="Coffee beans", unit_price=1250, available=10)
    execute(database, "UPDATE stock SET available = 7, reserved = 2, sold = 1")

    answer = anyone.get(f"/api/v1/products/{product.product_id}")

    assert answer.status == 200
    assert answer.json == {
        "productId": str(product.product_id),
        "name": "Coffee beans",
        "unitPrice": 1250,
        "currency": "USD",
        "available": 7,
        "active": True,
    }


def test_the_list_has_what_is_on_sale_oldest_first(anyone: Client, database: Database) -> None:
    coffee = add_product(database, name="Coffee")
    add_product(database, name="Withdrawn", active=False)
    tea = add_product(database, name="Tea", available=0)

    answer = anyone.get("/api/v1/products")

    assert answer.json.keys() == {"items", "nextCursor"}
    assert [item["productId"] for item in answer.json["items"]] == [
        str(coffee.product_id),
        str(tea.product_id),
    ]
    assert answer.json["items"][0] == anyone.get(f"/api/v1/products/{coffee.product_id}").json
    assert answer.json["nextCursor"] is None


def test_an_empty_catalogue_is_an_empty_list(anyone: Client) -> None:
    assert anyone.get("/api/v1/products").json == {"items": [], "nextCursor": None}


def test_the_catalogue_comes_in_pages_of_what_is_on_sale(anyone: Client, database: Database) -> None:
    made = [add_product(database, active=number % 2 == 0).product_id for number in range(7)]

    pages = every_page(anyone, "/api/v1/products", limit=3)

    assert [len(page) for page in pages] == [3, 1]
    assert [item["productId"] for page in pages for item in page] == [str(id) for id in made[::2]]


def test_a_page_has_twenty_products_unless_another_number_is_asked_for(
    anyone: Client, database: Database
) -> None:
    execute(
        database,
        "WITH added AS ("
        "    INSERT INTO products (id, name, unit_price, currency)"
        "    SELECT gen_random_uuid(), 'Product', 100, 'USD' FROM generate_series(1, 101) RETURNING id"
        ") INSERT INTO stock (product_id, stocked, available) SELECT id, 1, 1 FROM added",
    )

    assert len(anyone.get("/api/v1/products").json["items"]) == 20
    assert len(anyone.get("/api/v1/products?limit=100").json["items"]) == 100
    assert anyone.get("/api/v1/products?limit=101").pointers == ["#/query/limit"]


class TestKeeping:
    """What a browser, or whoever stands between, may keep, and how it learns that nothing has changed."""

    @pytest.fixture(params=["/api/v1/products", "/api/v1/products/{}"])
    def address(self, request: pytest.FixtureRequest, database: Database) -> str:
        return str(request.param).format(add_product(database).product_id)

    def test_for_some_seconds_nobody_has_to_ask_again(self, anyone: Client, address: str) -> None:
        assert anyone.get(address).headers["cache-control"] == "public, max-age=5, must-revalidate"

    def test_what_has_not_changed_is_not_sent_again(self, anyone: Client, address: str) -> None:
        first = anyone.get(address)

        again = anyone.get(address, {"If-None-Match": first.headers["etag"]})

        assert (again.status, again.text) == (304, "")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE products SET unit_price = unit_price + 1",
            "UPDATE products SET name = 'Tea'",
            "UPDATE products SET active = false",
            "UPDATE stock SET available = available - 1, reserved = reserved + 1",
        ],
    )
    def test_a_change_is_a_new_version(
        self, anyone: Client, address: str, database: Database, change: str
    ) -> None:
        tag = anyone.get(address).headers["etag"]
        execute(database, change)

        assert anyone.get(address, {"If-None-Match": tag}).status == 200

    def test_a_refusal_is_not_kept(self, anyone: Client) -> None:
        assert anyone.get(f"/api/v1/products/{uuid4()}").headers["cache-control"] == "no-store"


def test_a_product_that_is_no_longer_on_sale_is_still_shown_for_orders_refer_to_it(
    anyone: Client, database: Database
) -> None:
    withdrawn = add_product(database, active=False)

    assert anyone.get(f"/api/v1/products/{withdrawn.product_id}").json["active"] is False


@pytest.mark.parametrize("id", [str(UUID(int=1)), "coffee", "1", "é"])
def test_an_unknown_product_is_a_404_whatever_its_id_looks_like(anyone: Client, id: str) -> None:
    answer = anyone.get(f"/api/v1/products/{id}")

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"].endswith("/product-not-found")


def test_a_name_is_given_in_any_script(anyone: Client, database: Database) -> None:
    add_product(database, name='Café "Ünïcode" 😀 <b>')

    assert anyone.get("/api/v1/products").json["items"][0]["name"] == 'Café "Ünïcode" 😀 <b>'
