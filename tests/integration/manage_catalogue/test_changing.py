"""PATCH /admin/products/{productId}: a change is of a version that its sender has seen."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from functions.manage_catalogue import products
from functions.manage_catalogue.models import ProductChange
from functions.read_orders import queries
from orders.db import Credentials, Database
from orders.errors import VersionOutdated
from tests.integration.manage_catalogue.catalogue_api import PRODUCTS, Product
from tests.support.api import Client
from tests.support.factories import ALICE, add_order, execute

CHANGES_AT_ONCE = 8


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Coffee beans, roasted"},
        {"unitPrice": 1300},
        {"active": False},
        {"lowStockThreshold": 0},
        {"name": "Tea", "unitPrice": 1, "active": False, "lowStockThreshold": 99},
    ],
)
def test_what_is_given_changes_and_the_rest_stays(coffee: Product, change: dict[str, Any]) -> None:
    before = coffee.now

    answer = coffee.change(coffee.tag, **change)

    assert answer.status == 200
    assert {**answer.json, "updatedAt": ""} == {**before, **change, "updatedAt": ""}
    assert answer.json["updatedAt"] > before["updatedAt"]
    assert coffee.now == answer.json
    assert answer.headers["etag"] == coffee.tag


def test_a_change_without_a_version_is_refused(coffee: Product) -> None:
    before = coffee.now

    answer = coffee.change(None, unitPrice=1)

    assert answer.status == 428
    assert answer.json["type"].endswith("/version-required")
    assert coffee.now == before


def test_a_change_of_what_somebody_else_has_changed_is_refused(coffee: Product) -> None:
    seen = coffee.tag
    coffee.change(seen, unitPrice=1300)

    answer = coffee.change(seen, name="Tea")

    assert answer.status == 412
    assert answer.json["type"].endswith("/version-outdated")
    assert (coffee.now["name"], coffee.now["unitPrice"]) == ("Coffee beans", 1300)


def test_a_threshold_that_somebody_else_has_changed_counts_too(coffee: Product) -> None:
    seen = coffee.tag
    coffee.change(seen, lowStockThreshold=1)

    assert coffee.change(seen, lowStockThreshold=2).status == 412


def test_an_order_in_between_outdates_nothing(coffee: Product, database: Database) -> None:
    """Else nobody could change what sells."""
    seen = coffee.tag
    execute(database, "UPDATE stock SET available = available - 1, reserved = reserved + 1")

    assert coffee.tag != seen
    assert coffee.change(seen, unitPrice=1300).status == 200


@pytest.mark.parametrize("tag", ['"other"', "{weak}", "{unquoted}", "", '""', "nonsense", "{first}"])
def test_a_tag_of_no_version_is_outdated(coffee: Product, tag: str) -> None:
    tags = {"weak": f"W/{coffee.tag}", "unquoted": coffee.tag.strip('"'), "first": coffee.tag[:20]}

    assert coffee.change(tag.format(**tags), unitPrice=1).status == 412


@pytest.mark.parametrize("tags", ['"other", {}', '{},"third"', "*"])
def test_one_fitting_tag_is_enough(coffee: Product, tags: str) -> None:
    assert coffee.change(tags.format(coffee.tag), unitPrice=1300).status == 200


def test_a_change_that_is_there_already_is_answered_as_if_it_were_new(coffee: Product) -> None:
    """The answer to it was lost, and its sender tries again with what they had seen."""
    seen = coffee.tag
    first, again = coffee.change(seen, unitPrice=1300), coffee.change(seen, unitPrice=1300)

    assert (again.status, again.json) == (200, first.json)


def test_of_changes_racing_from_one_version_one_is_made(coffee: Product, credentials: Credentials) -> None:
    seen = coffee.tag

    def change(price: int) -> bool:
        own = Database(lambda: credentials)
        wanted = ProductChange.model_validate({"unitPrice": price, "lowStockThreshold": price})
        try:
            products.change_product(own, coffee.id, wanted, seen)
        except VersionOutdated:
            return False
        finally:
            own.engine.dispose()
        return True

    with ThreadPoolExecutor(CHANGES_AT_ONCE) as racing:
        assert list(racing.map(change, range(1, CHANGES_AT_ONCE + 1))).count(True) == 1


def test_a_new_price_is_for_new_orders_only(coffee: Product, database: Database) -> None:
    earlier = add_order(database, [(coffee.to_order, 2)])

    coffee.change(coffee.tag, unitPrice=9900)

    later = add_order(database, [(coffee.to_order, 2)])
    prices = [
        (order.total_amount, order.items[0].unit_price)
        for order in (queries.read_order(database, ALICE, str(order_id), 30) for order_id in (earlier, later))
    ]
    assert prices == [(2500, 1250), (19800, 9900)]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({}, "#"),
        ({"name": None}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"active": "false"}, "#/active"),
        ({"active": None}, "#/active"),
        ({"unitPrice": 0}, "#/unitPrice"),
        ({"currency": "EUR"}, "#/currency"),
        ({"available": 5}, "#/available"),
    ],
)
def test_what_cannot_be_changed_is_refused_by_name(
    coffee: Product, change: dict[str, Any], pointer: str
) -> None:
    before = coffee.now

    answer = coffee.change(coffee.tag, **change)

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert coffee.now == before


@pytest.mark.parametrize("id", [str(UUID(int=1)), "coffee"])
def test_an_unknown_product_is_a_404(admin: Client, id: str) -> None:
    for answer in (
        admin.get(f"{PRODUCTS}/{id}"),
        admin.patch(f"{PRODUCTS}/{id}", {"unitPrice": 1}, {"If-Match": "*"}),
        admin.get(f"{PRODUCTS}/{id}/movements"),
        admin.post(
            f"{PRODUCTS}/{id}/stock-adjustments", {"delta": 1, "reason": "r"}, {"Idempotency-Key": "k"}
        ),
    ):
        assert answer.status == 404
        assert answer.json["type"].endswith("/product-not-found")


def test_what_has_not_changed_is_not_sent_again_but_a_change_is_always_answered(coffee: Product) -> None:
    known = {"If-None-Match": coffee.tag}

    assert coffee.admin.get(coffee.address, known).status == 304
    answer = coffee.admin.patch(coffee.address, {"unitPrice": 1}, {"If-Match": "*", "If-None-Match": "*"})
    assert answer.status == 200
