"""The examples of the served document, held against what the local system really returns."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from orders.contract import API_PREFIX
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import Caller, await_end, tokens

DIFFERENT_EACH_TIME = {
    "orderId",
    "createdAt",
    "updatedAt",
    "possibleUntil",
    "at",
    "available",
    "queuedAt",
    "sentAt",
    "providerId",
}


@pytest.fixture(scope="module")
def document(running_cloud: Cloud) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(
        f"{running_cloud.stack['api_url']}{API_PREFIX}/openapi.json", timeout=60
    ).json()
    return found


def example(document: dict[str, Any], method: str, path: str, status: str | None = None) -> Any:
    operation = document["paths"][f"{API_PREFIX}{path}"][method]
    said = operation["requestBody"] if status is None else operation["responses"][status]
    return said["content"]["application/json"]["example"]


def lasting(value: Any) -> Any:
    """Without what is another one each time."""
    match value:
        case dict():
            return {
                name: lasting(member) for name, member in value.items() if name not in DIFFERENT_EACH_TIME
            }
        case list():
            return [lasting(member) for member in value]
        case _:
            return value


def test_the_example_order_is_accepted_and_ends_as_the_examples_say(
    running_cloud: Cloud, document: dict[str, Any]
) -> None:
    caller = Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])

    placed = caller.post(example(document, "post", "/orders"), str(uuid4()))
    assert placed.status == 202, placed.body
    await_end(caller, placed.body["orderId"])

    order = f"/orders/{placed.body['orderId']}"
    assert lasting(placed.body) == lasting(example(document, "post", "/orders", "202"))
    for path in ("", "/status"):
        found = caller.get(order + path).body
        assert lasting(found) == lasting(example(document, "get", f"/orders/{{orderId}}{path}", "200")), path


def test_the_example_products_are_in_the_catalogue(running_cloud: Cloud, document: dict[str, Any]) -> None:
    said = example(document, "get", "/products/{productId}", "200")
    listed = example(document, "get", "/products", "200")["items"]
    caller = Caller(running_cloud.stack["api_url"], None)

    assert lasting(caller.get(f"/products/{said['productId']}").body) == lasting(said)
    assert lasting(caller.get("/products").body["items"][:1]) == lasting(listed)


def test_the_document_says_where_this_stage_signs_in(running_cloud: Cloud, document: dict[str, Any]) -> None:
    (scheme,) = document["components"]["securitySchemes"].values()

    assert scheme["x-cognito"]["clientId"] == running_cloud.stack["user_pool_client_id"]
    assert scheme["x-cognito"]["userPoolId"] == running_cloud.stack["user_pool_id"]
    assert httpx.options(scheme["x-cognito"]["endpoint"], timeout=60).is_success
    assert json.dumps(document).count("x-cognito") >= 2, "and its description names where it stands"
