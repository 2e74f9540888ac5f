"""The API as anybody meets it who knows `api_url` and a token: nothing here but HTTP."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from orders.domain import FORWARD_STEPS
from orders.ids import uuid7
from tests.e2e.conftest import Cloud
from tools.audit import executions
from tools.cloud import aws, catalogue

ORDER: dict[str, Any] = {
    "items": [
        {"productId": str(catalogue.KEYBOARD.id), "quantity": 1},
        {"productId": str(catalogue.MOUSE.id), "quantity": 2},
    ],
    "currency": "USD",
    "paymentMethod": "pm_card_visa",
    "contact": {"email": "ada@example.com", "locale": "en"},
}
TERMINAL = {"CONFIRMED", "CANCELLED", "NEEDS_REVIEW"}
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def request(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    asked = urllib.request.Request(url, body, {**(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return Answer(answer.status, dict(answer.headers), json.loads(answer.read() or b"null"))
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), json.loads(error.read() or b"null"))


@dataclass(frozen=True)
class Caller:
    """Somebody with a token, or without one."""

    api_url: str
    token: str | None

    def get(self, path: str) -> Answer:
        return request("GET", f"{self.api_url}/api/v1{path}", headers=self._authorization())

    def post(self, body: object, key: str | None = None) -> Answer:
        """Posts an order; text and bytes go out as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or str(uuid4())}
        return request("POST", f"{self.api_url}/api/v1/orders", content, headers | self._authorization())

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def tokens(cloud: Cloud, user: str) -> dict[str, str]:
    """Signs in as `curl` would, with Cognito's own protocol."""
    credentials = cloud.stack["users"][user]
    asked = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": cloud.stack["user_pool_client_id"],
        "AuthParameters": {"USERNAME": credentials["email"], "PASSWORD": credentials["password"]},
    }
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    answer = request("POST", cloud.stack["endpoint_url"], json.dumps(asked).encode(), headers)
    found: dict[str, str] = answer.body["AuthenticationResult"]
    return found


@pytest.fixture(scope="module")
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


@pytest.fixture(scope="module")
def other(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "other")["AccessToken"])


@pytest.fixture(scope="module")
def confirmed(customer: Caller) -> dict[str, Any]:
    """An order of the customer's that was followed to CONFIRMED."""
    placed = customer.post(ORDER)
    assert placed.status == 202
    return await_end(customer, placed.body["orderId"])


def await_end(caller: Caller, order_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        answer = caller.get(f"/orders/{order_id}/status")
        assert answer.status == 200
        if answer.body["status"] in TERMINAL:
            status: dict[str, Any] = answer.body
            return status
        time.sleep(0.1)
    pytest.fail(f"order {order_id} did not end")


def test_a_token_and_the_api_url_are_enough_to_place_an_order_and_see_it_confirmed(
    customer: Caller, confirmed: dict[str, Any]
) -> None:
    assert confirmed["status"] == "CONFIRMED"
    assert confirmed["failureReason"] is None
    assert confirmed["progress"] == 100
    order = customer.get(f"/orders/{confirmed['orderId']}")
    assert order.status == 200
    assert order.body["totalAmount"] == catalogue.KEYBOARD.unit_price + 2 * catalogue.MOUSE.unit_price


def test_the_executions_history_lists_the_six_steps(running_cloud: Cloud, confirmed: dict[str, Any]) -> None:
    client = aws.sagas(running_cloud.settings)
    arn = executions.execution_arn(running_cloud.stack["state_machine_arn"], confirmed["orderId"])
    while executions.is_running(client, arn):
        time.sleep(0.1)
    assert [visit.state for visit in executions.visits(client, arn)] == list(FORWARD_STEPS)
    assert client.describe_execution(executionArn=arn)["status"] == "SUCCEEDED"


def test_the_orders_own_journal_says_the_same_as_the_execution(confirmed: dict[str, Any]) -> None:
    assert [(step["name"], step["status"]) for step in confirmed["steps"]] == [
        (step, "SUCCEEDED") for step in FORWARD_STEPS
    ]


def test_an_order_says_where_it_is_to_be_found(customer: Caller) -> None:
    placed = customer.post(ORDER)
    assert placed.status == 202
    assert placed.headers["Location"] == f"/api/v1/orders/{placed.body['orderId']}"
    assert placed.body["status"] == "PENDING"


def test_another_users_order_does_not_exist(other: Caller, confirmed: dict[str, Any]) -> None:
    for path in (f"/orders/{confirmed['orderId']}", f"/orders/{confirmed['orderId']}/status"):
        answer = other.get(path)
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        unknown = other.get(path.replace(confirmed["orderId"], str(uuid7())))
        assert {**unknown.body, "instance": "", "correlationId": ""} == {
            **answer.body,
            "instance": "",
            "correlationId": "",
        }


def test_nobody_orders_without_a_token(running_cloud: Cloud) -> None:
    nobody = Caller(running_cloud.stack["api_url"], None)
    assert nobody.post(ORDER).status == 401
    assert nobody.get(f"/orders/{uuid7()}").status == 401


@pytest.mark.parametrize("garbage", ["garbage", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."])
def test_garbage_is_no_token(running_cloud: Cloud, garbage: str) -> None:
    assert Caller(running_cloud.stack["api_url"], garbage).post(ORDER).status == 401


def test_a_token_that_was_tampered_with_is_refused(running_cloud: Cloud) -> None:
    header, payload, signature = tokens(running_cloud, "customer")["AccessToken"].split(".")
    _, of_another, _ = tokens(running_cloud, "other")["AccessToken"].split(".")
    assert payload != of_another
    tampered = Caller(running_cloud.stack["api_url"], f"{header}.{of_another}.{signature}")
    assert tampered.post(ORDER).status == 401


def test_an_id_token_is_no_access_token(running_cloud: Cloud) -> None:
    # Genuine, but without the scope that the routes ask for: API Gateway's answer to that is 403.
    id_token = tokens(running_cloud, "customer")["IdToken"]
    assert Caller(running_cloud.stack["api_url"], id_token).post(ORDER).status == 403


@pytest.mark.parametrize("path", ["/products", "/health/live", "/health/ready"])
def test_some_routes_are_open_to_anybody(running_cloud: Cloud, path: str) -> None:
    assert Caller(running_cloud.stack["api_url"], None).get(path).status == 200


def one_line(**changes: object) -> dict[str, object]:
    line = {"productId": str(catalogue.MOUSE.id), "quantity": 1, **changes}
    return {**ORDER, "items": [line]}


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (one_line(productId=str(uuid7())), 422, "#/items/0/productId"),
        (one_line(productId=str(catalogue.INACTIVE.id)), 422, "#/items/0/productId"),
        (one_line(quantity=0), 422, "#/items/0/quantity"),
        (one_line(quantity=-1), 422, "#/items/0/quantity"),
        (one_line(quantity=1_000_000_000), 422, "#/items/0/quantity"),
        (one_line(quantity="2"), 422, "#/items/0/quantity"),
        (one_line(colour="red"), 422, "#/items/0/colour"),
        ({**ORDER, "coupon": "free"}, 422, "#/coupon"),
        (
            {**ORDER, "items": [{"productId": str(uuid7()), "quantity": 1} for _ in range(51)]},
            422,
            "#/items",
        ),
        (b"{not json", 400, "#"),
        ({**ORDER, "coupon": "x" * 100 * 1024}, 413, None),
    ],
    ids=[
        "unknown product",
        "inactive product",
        "quantity 0",
        "quantity -1",
        "quantity 1e9",
        "quantity '2'",
        "unknown field of a line",
        "unknown field",
        "51 lines",
        "not JSON",
        "100 KiB",
    ],
)
def test_wrong_input_is_answered_with_a_problem_that_names_the_field(
    customer: Caller, body: object, status: int, pointer: str | None
) -> None:
    answer = customer.post(body)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["correlationId"]
    if pointer:
        assert [field["pointer"] for field in answer.body["errors"]] == [pointer]


def test_an_order_without_a_key_is_refused(customer: Caller) -> None:
    answer = request(
        "POST",
        f"{customer.api_url}/api/v1/orders",
        json.dumps(ORDER).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {customer.token}"},
    )
    assert answer.status == 422
    assert [field["pointer"].lower() for field in answer.body["errors"]] == ["#/header/idempotency-key"]
