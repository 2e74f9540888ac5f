"""POST /admin/products: a product is on sale from then on, once for each key."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from functions.manage_catalogue import products
from functions.manage_catalogue.models import NewProduct
from orders.db import Credentials, Database
from tests.integration.manage_catalogue.catalogue_api import PRODUCTS, Product
from tests.integration.manage_catalogue.conftest import ADMIN, COFFEE
from tests.support.api import Answer, Client
from tests.support.factories import rows

POSTS_AT_ONCE = 8


def post(client: Client, body: Any = COFFEE, key: str = "key-1") -> Answer:
    return client.post(PRODUCTS, body, {"Idempotency-Key": key})


def number_of_products(database: Database) -> int:
    return len(rows(database, "SELECT id FROM products"))


def test_a_new_product_is_answered_with_its_address_and_its_stock(admin: Client) -> None:
    answer = post(admin, {**COFFEE, "lowStockThreshold": 3})

    assert answer.status == 201
    product = answer.json
    assert UUID(product["productId"]).version == 7
    assert answer.headers["location"] == f"{PRODUCTS}/{product['productId']}"
    assert {name: value for name, value in product.items() if not name.endswith("At")} == {
        "productId": product["productId"],
        "name": "Coffee beans",
        "unitPrice": 1250,
        "currency": "USD",
        "active": True,
        "stocked": 10,
        "available": 10,
        "reserved": 0,
        "sold": 0,
        "lowStockThreshold": 3,
    }
    assert admin.get(answer.headers["location"]).json == product


def test_its_first_stock_is_a_movement_like_any_other(coffee: Product) -> None:
    (movement,) = coffee.movements

    assert (movement["kind"], movement["quantity"], movement["actor"]) == ("RECEIVED", 10, ADMIN)


def test_without_stock_nothing_has_moved(admin: Client) -> None:
    product = Product(admin, post(admin, {**COFFEE, "stock": 0}).json["productId"])

    assert product.movements == []
    assert product.now["available"] == 0


def test_a_repeated_request_makes_no_second_product(admin: Client, database: Database) -> None:
    first, again = post(admin), post(admin)

    assert (again.status, again.json) == (201, first.json)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert number_of_products(database) == 1


def test_of_requests_racing_under_one_key_one_makes_the_product(credentials: Credentials) -> None:
    """Trap T9: and all of them are answered with it."""

    def make(_: int) -> products.Created:
        own = Database(lambda: credentials)
        try:
            return products.create_product(own, NewProduct.model_validate(COFFEE), user_id=ADMIN, key="key-1")
        finally:
            own.engine.dispose()

    with ThreadPoolExecutor(POSTS_AT_ONCE) as racing:
        made = list(racing.map(make, range(POSTS_AT_ONCE)))

    assert len({created.product.product_id for created in made}) == 1
    assert [created.replayed for created in made].count(False) == 1


def test_the_same_key_with_another_body_is_refused(admin: Client, database: Database) -> None:
    post(admin)

    answer = post(admin, {**COFFEE, "unitPrice": 1})

    assert answer.status == 422
    assert answer.json["type"].endswith("/idempotency-key-reused")
    assert number_of_products(database) == 1


def test_a_key_is_its_owners(admin: Client, other_admin: Client) -> None:
    """Trap T8: another administrator's key leads to nothing of theirs."""
    mine, theirs = post(admin), post(other_admin)

    assert theirs.status == 201
    assert theirs.json["productId"] != mine.json["productId"]


def test_a_key_of_one_operation_is_no_key_of_another(admin: Client, coffee: Product) -> None:
    coffee.adjust(1, key="key-1")

    assert post(admin, key="key-1").status == 422


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "#/name"),
        ({"name": "x" * 201}, "#/name"),
        ({"name": " Coffee"}, "#/name"),
        ({"name": "Coffee\nbeans"}, "#/name"),
        ({"name": "Coffee\0beans"}, "#/name"),
        ({"name": "Coffee\u2028beans"}, "#/name"),
        ({"name": "Coffee\u202esnaeb"}, "#/name"),
        ({"name": "Coffee\x9b31m"}, "#/name"),
        ({"name": "\u200b"}, "#/name"),
        ({"name": "\u3164"}, "#/name"),
        ({"name": None}, "#/name"),
        ({"unitPrice": 0}, "#/unitPrice"),
        ({"unitPrice": 1_000_000_001}, "#/unitPrice"),
        ({"unitPrice": "1250"}, "#/unitPrice"),
        ({"unitPrice": 12.5}, "#/unitPrice"),
        ({"currency": "usd"}, "#/currency"),
        ({"currency": "YEN"}, "#/currency"),
        ({"currency": "XXX"}, "#/currency"),
        ({"currency": "CLF"}, "#/currency"),
        ({"stock": -1}, "#/stock"),
        ({"stock": 10**30}, "#/stock"),
        ({"active": True}, "#/active"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    admin: Client, database: Database, change: dict[str, Any], pointer: str
) -> None:
    answer = post(admin, {**COFFEE, **change})

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert number_of_products(database) == 0


def test_a_request_without_a_key_is_refused(admin: Client, database: Database) -> None:
    answer = admin.post(PRODUCTS, COFFEE)

    assert (answer.status, answer.pointers) == (422, ["#/header/idempotency-key"])
    assert number_of_products(database) == 0
