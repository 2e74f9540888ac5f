"""The catalogue and the lists as their users meet them: by HTTP, and by an administrator's commands."""

import json
import subprocess
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Answer, Caller, await_end, request, tokens
from tools.cloud import catalogue
from tools.cloud.settings import ROOT


@pytest.fixture(scope="module")
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


@pytest.fixture(scope="module")
def admin(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "admin")["AccessToken"])


def send(caller: Caller, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """A request with headers of its own, e.g. `If_Match`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(
        method,
        f"{caller.api_url}/api/v1{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {caller.token}", "Content-Type": "application/json", **named},
    )


def every_item(caller: Caller, path: str) -> list[dict[str, Any]]:
    """The items of a list, two at a time."""
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = caller.get(f"{path}?limit=2{cursor}")
        assert answer.status == 200
        items += answer.body["items"]
        if answer.body["nextCursor"] is None:
            return items
        assert len(answer.body["items"]) == 2
        cursor = f"&cursor={answer.body['nextCursor']}"


def test_what_an_administrator_puts_on_sale_a_customer_can_buy(customer: Caller, admin: Caller) -> None:
    new = {"name": f"Lamp {uuid4().hex[:8]}", "unitPrice": 4200, "currency": "USD", "stock": 5}
    assert send(customer, "POST", "/admin/products", new, Idempotency_Key="k").status == 403

    key = uuid4().hex
    made = [send(admin, "POST", "/admin/products", new, Idempotency_Key=key) for _ in range(2)]
    assert [answer.status for answer in made] == [201, 201]
    assert made[0].body == made[1].body
    product_id = made[0].body["productId"]
    placed = [customer.post({**ORDER, "items": [{"productId": product_id, "quantity": 2}]}) for _ in range(2)]
    ends = [await_end(customer, answer.body["orderId"])["status"] for answer in placed]
    assert ends == ["CONFIRMED", "CONFIRMED"]

    too_many = send(
        admin,
        "POST",
        f"/admin/products/{product_id}/stock-adjustments",
        {"delta": -2, "reason": "Counted"},
        Idempotency_Key=uuid4().hex,
    )
    assert (too_many.status, too_many.body["detail"]) == (409, "1 are free; the others are reserved or sold")
    seen = admin.get(f"/admin/products/{product_id}")
    assert [seen.body[name] for name in ("stocked", "available", "reserved", "sold")] == [5, 1, 0, 4]
    off_sale = [
        send(
            admin, "PATCH", f"/admin/products/{product_id}", {"active": active}, If_Match=seen.headers["ETag"]
        )
        for active in (False, True)
    ]
    assert [answer.status for answer in off_sale] == [200, 412]
    assert [move["kind"] for move in every_item(admin, f"/admin/products/{product_id}/movements")][
        -1
    ] == "RECEIVED"

    listed = every_item(customer, "/orders")
    ids = [order["orderId"] for order in listed]
    assert ids[:2] == [answer.body["orderId"] for answer in reversed(placed)]
    assert len(set(ids)) == len(ids)
    assert listed[0]["itemCount"] == 1


def test_the_catalogue_has_pages_and_is_not_sent_again_while_it_stays_the_same(customer: Caller) -> None:
    on_sale = [item["productId"] for item in every_item(customer, "/products")]
    assert {str(product.id) for product in catalogue.PRODUCTS if product.active} <= set(on_sale)
    assert str(catalogue.INACTIVE.id) not in on_sale

    path = f"/products/{catalogue.INACTIVE.id}"
    first = customer.get(path)
    assert first.headers["Cache-Control"] == "public, max-age=5, must-revalidate"
    assert send(customer, "GET", path, If_None_Match=first.headers["ETag"]).status == 304


def test_an_administrator_s_commands_do_the_same(running_cloud: Cloud) -> None:
    name = f"Chair {uuid4().hex[:8]}"

    def orders(*arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "bin" / "orders"), "product", *arguments],
            env=running_cloud.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert name in orders("add", name, "--price", "9900", "--stock", "7")
    assert "130.00 USD" in orders("change", name, "--price", "13000", "--off-sale")
    orders("stock", name, "-3", "--reason", "Broken")
    (row,) = [line for line in orders("list").splitlines() if name in line]
    assert row.split()[-5:] == ["no", "4", "4", "0", "0"]
