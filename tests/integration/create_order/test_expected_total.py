"""`expectedTotalAmount`: nobody pays another price than the one that they have seen."""

from typing import Any
from uuid import uuid4

import pytest

from functions.create_order import handler
from functions.create_order.models import MAX_AMOUNT
from functions.create_order.place_order import place_order
from orders.db import Credentials, Database
from orders.errors import PriceChanged
from tests.integration.create_order.in_flight import in_flight
from tests.integration.create_order.orders_api import post
from tests.support.api import Client
from tests.support.factories import Product, execute, order_body, order_request, rows

PRICE_RISE = "UPDATE products SET unit_price = 1500"


@pytest.fixture
def body(product: Product) -> dict[str, Any]:
    """Two units, at the price that they have now."""
    return order_body([(product.product_id, 2)], expectedTotalAmount=2500)


def placed(database: Database) -> int:
    (found,) = rows(
        database,
        "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM idempotency_keys) "
        "+ (SELECT count(*) FROM order_rates) + (SELECT count(*) FROM outbox) AS n",
    )
    return int(found["n"]) // 4


def test_an_order_that_costs_what_was_expected_is_placed(
    alice: Client, body: dict[str, Any], database: Database
) -> None:
    answer = post(alice, body)

    assert (answer.status, answer.json["totalAmount"]) == (202, 2500)
    assert placed(database) == 1


@pytest.mark.parametrize("price", [1, 1249, 1251, 1500])
def test_another_total_is_told_and_nothing_is_placed(
    alice: Client, body: dict[str, Any], database: Database, price: int
) -> None:
    execute(database, "UPDATE products SET unit_price = :price", price=price)

    answer = post(alice, body)

    assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
    problem = answer.json
    assert problem["type"].endswith("/price-changed")
    assert (problem["totalAmount"], problem["currency"]) == (2 * price, "USD")
    assert problem["detail"] == f"The order costs USD {2 * price / 100:.2f} now, not USD 25.00"
    assert placed(database) == 0


def test_other_problems_have_no_price(alice: Client, body: dict[str, Any]) -> None:
    problem = post(alice, {**body, "items": []}).json

    assert {"totalAmount", "currency"}.isdisjoint(problem)


def test_a_refused_order_leaves_its_key_free(alice: Client, body: dict[str, Any], database: Database) -> None:
    execute(database, PRICE_RISE)
    assert post(alice, body, key="same").status == 409

    answer = post(alice, {**body, "expectedTotalAmount": 3000, "paymentMethod": "pm_card_flaky"}, key="same")

    assert (answer.status, answer.json["totalAmount"]) == (202, 3000)
    assert placed(database) == 1


@pytest.mark.parametrize("expected", [2500, 3000, None])
def test_an_order_that_was_accepted_is_replayed_whatever_it_costs_now_and_whatever_is_expected(
    alice: Client, body: dict[str, Any], database: Database, expected: int | None
) -> None:
    """Who never got the 202, saw the new price and agreed to it must not be driven to a new key: to a second order."""
    first = post(alice, body, key="same")
    execute(database, PRICE_RISE)

    replay = post(alice, {**body, "expectedTotalAmount": expected}, key="same")

    assert (replay.status, replay.text) == (202, first.text)
    assert replay.headers["idempotency-replayed"] == "true"
    assert placed(database) == 1


def test_a_price_that_changes_while_the_first_request_is_in_flight_makes_no_second_order(
    credentials: Credentials, database: Database, body: dict[str, Any]
) -> None:
    request = order_request(body, key="same")
    with in_flight(credentials, request) as first:
        execute(database, PRICE_RISE)
        with pytest.raises(PriceChanged):
            place_order(database, request)
        accepted = first.commits()

    replay = place_order(database, request)

    assert (replay.order_id, replay.total_amount, replay.replayed) == (accepted.order_id, 2500, True)
    assert placed(database) == 1


class TestTheOrderOfChecks:
    """The price comes last: only an order that could be placed has one."""

    @pytest.fixture(autouse=True)
    def _risen(self, alice: Client, body: dict[str, Any], database: Database) -> None:
        post(alice, body, key="before")
        execute(database, PRICE_RISE)

    @pytest.mark.parametrize("expected", [0, -1, "2500", 25.5, True, MAX_AMOUNT + 1])
    def test_what_is_no_amount_is_invalid(
        self, alice: Client, body: dict[str, Any], expected: object
    ) -> None:
        answer = post(alice, {**body, "expectedTotalAmount": expected})

        assert (answer.status, answer.pointers) == (422, ["#/expectedTotalAmount"])

    def test_an_unknown_product_has_no_price(self, alice: Client, body: dict[str, Any]) -> None:
        unknown = {"productId": str(uuid4()), "quantity": 1}
        answer = post(alice, {**body, "items": [*body["items"], unknown]})

        assert (answer.status, answer.pointers) == (422, ["#/items/1/productId"])

    def test_a_key_of_another_request_is_refused_as_such(self, alice: Client, body: dict[str, Any]) -> None:
        answer = post(alice, {**body, "paymentMethod": "pm_card_flaky"}, key="before")

        assert (answer.status, answer.json["type"].rpartition("/")[2]) == (422, "idempotency-key-reused")

    def test_who_may_place_no_more_orders_for_now_is_told_so(
        self, alice: Client, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(handler, "settings", handler.settings.model_copy(update={"orders_per_minute": 1}))

        assert post(alice, {**body, "expectedTotalAmount": 3000}).status == 202
        assert post(alice, body).status == 429
