"""`orders product …`: what it asks of the API, and which product it means."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest

from tools.cli.products import choose, show
from tools.client.http import ApiError
from tools.client.orders_client import CatalogueClient, StockedProduct
from tools.errors import LocalCloudError

T = TypeVar("T")

ID = UUID("01900000-0000-7000-8000-000000000001")
KEYBOARD = {
    "productId": str(ID),
    "name": "Mechanical keyboard",
    "unitPrice": 12900,
    "currency": "USD",
    "active": True,
    "stocked": 10,
    "available": 7,
    "reserved": 2,
    "sold": 1,
    "lowStockThreshold": 10,
    "createdAt": "2026-01-01T00:00:00Z",
    "updatedAt": "2026-01-01T00:00:00Z",
}


def product(number: int, name: str) -> StockedProduct:
    return StockedProduct.model_validate({**KEYBOARD, "productId": str(UUID(int=number)), "name": name})


def ask(
    work: Callable[[CatalogueClient], Awaitable[T]], *answers: httpx.Response
) -> tuple[T, list[httpx.Request]]:
    """Does the work with an API that gives these answers, and tells what it was asked."""
    remaining, asked = iter(answers), []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return next(remaining)

    async def run() -> T:
        transport = httpx.MockTransport(respond)
        async with httpx.AsyncClient(transport=transport, base_url="http://api/api/v1/") as http:
            return await work(CatalogueClient(http))

    return asyncio.run(run()), asked


def page(*items: dict[str, Any], next_cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"items": list(items), "nextCursor": next_cursor})


def test_a_list_is_read_to_its_end() -> None:
    found, asked = ask(
        lambda catalogue: catalogue.all_products(), page(KEYBOARD, next_cursor="c"), page(KEYBOARD)
    )

    assert [item.stocked for item in found] == [10, 10]
    assert [str(request.url.params) for request in asked] == ["limit=100", "limit=100&cursor=c"]


def test_customers_see_the_whole_catalogue_too() -> None:
    found, asked = ask(lambda api: api.products(), page(KEYBOARD, next_cursor="c"), page(KEYBOARD))

    assert len(found) == 2
    assert {request.url.path for request in asked} == {"/api/v1/products"}


def test_a_product_is_added_under_a_key() -> None:
    _, (request,) = ask(
        lambda catalogue: catalogue.add("Tea", 300, "USD", 5, key="key-1"), httpx.Response(201, json=KEYBOARD)
    )

    assert request.headers["Idempotency-Key"] == "key-1"
    assert json.loads(request.content) == {"name": "Tea", "unitPrice": 300, "currency": "USD", "stock": 5}


def test_a_change_brings_the_version_that_was_just_seen() -> None:
    _, (_, change) = ask(
        lambda catalogue: catalogue.change(ID, {"active": False}),
        httpx.Response(200, json=KEYBOARD, headers={"ETag": '"v"'}),
        httpx.Response(200, json=KEYBOARD),
    )

    assert (change.method, change.url.path) == ("PATCH", f"/api/v1/admin/products/{ID}")
    assert change.headers["If-Match"] == '"v"'
    assert json.loads(change.content) == {"active": False}


def test_stock_is_adjusted_with_a_reason_under_a_key() -> None:
    adjusted, (request,) = ask(
        lambda catalogue: catalogue.adjust(ID, -3, "Broken", key="key-1"),
        httpx.Response(201, json={"movement": {}, "product": KEYBOARD}),
    )

    assert adjusted.available == 7
    assert request.headers["Idempotency-Key"] == "key-1"
    assert json.loads(request.content) == {"delta": -3, "reason": "Broken"}


def test_a_refusal_is_told() -> None:
    problem = {
        "type": "https://orders.example/problems/stock-not-free",
        "title": "Less",
        "detail": "3 are free",
    }

    with pytest.raises(ApiError, match="3 are free"):
        ask(lambda catalogue: catalogue.adjust(ID, -9, "Broken", key="k"), httpx.Response(409, json=problem))


def test_a_product_is_one_line_of_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show([product(1, "Mechanical keyboard with a name as long as anybody would want"), product(2, "Mouse")])

    _, keyboard, mouse = capsys.readouterr().out.splitlines()
    assert keyboard.split()[-7:] == ["129.00", "USD", "yes", "10", "7", "2", "1"]
    assert mouse.startswith(str(UUID(int=2)))


@pytest.mark.parametrize("name", ["Mech", "mechanical keyboard", str(UUID(int=1))])
def test_a_product_is_named_by_its_id_or_the_beginning_of_its_name(name: str) -> None:
    products = [product(1, "Mechanical keyboard"), product(2, "Mouse")]

    assert choose(products, name) is products[0]


@pytest.mark.parametrize(("name", "said"), [("m", "More than one"), ("tea", "No product")])
def test_a_name_that_is_not_one_product_s_is_answered_with_those_that_there_are(name: str, said: str) -> None:
    with pytest.raises(LocalCloudError, match=rf"{said}(.|\n)*Mechanical keyboard\n.*Mouse"):
        choose([product(1, "Mechanical keyboard"), product(2, "Mouse")], name)
