"""Who is who outlives the local cloud: after `down` and `up`, or a killed emulator, a user finds the same orders."""

import shutil
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from sqlalchemy import create_engine

from tests.e2e.conftest import Cloud
from tests.e2e.test_account import Account
from tests.e2e.test_api import Caller
from tests.e2e.test_killed_cloud import kill_everything_but_postgres
from tools.audit import mailbox
from tools.cloud import aws, catalogue, local_cloud
from tools.cloud.local_cloud import Sandbox, new_sandbox
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, new_password, sign_in

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = new_sandbox("test-identity")
    yield sandbox
    local_cloud.down(sandbox.settings, print)


def test_users_their_orders_and_all_ids_outlive_a_stopped_and_a_killed_cloud(sandbox: Sandbox) -> None:
    settings = sandbox.settings
    first = local_cloud.up(settings, print)
    engine = create_engine(first["database_url"])
    cloud = Cloud(settings, sandbox.environment, first, engine, time.monotonic())
    grace = Account(cloud, f"grace-{uuid4().hex[:8]}@example.com", new_password())
    grace.orders("signup", grace.email, password=grace.password)
    grace.orders("confirm", grace.email, code_sent_to(settings, grace.email))
    grace.orders("login", grace.email, password=grace.password)
    placed = {place(first, token) for token in (token_of(settings, first), grace.orders("token").strip())}
    secret = webhook_key(settings)
    known = subs(settings, first)

    for is_killed in (False, True):
        if is_killed:
            kill_everything_but_postgres(settings)
        else:
            local_cloud.down(settings, print)
        again = local_cloud.up(settings, print)

        assert again == first
        assert subs(settings, again) == known
        assert webhook_key(settings) == secret, "webhooks verify as before"
        # Grace is still signed in, and her password is good for a new sign-in.
        tokens = [token_of(settings, again), grace.orders("token").strip()]
        grace.orders("login", grace.email, password=grace.password)
        assert subject(grace.orders("token").strip()) == subject(tokens[1])
        assert {order for token in tokens for order in orders_of(again, token)} == placed
        assert Caller(again["api_url"], token_of(settings, again, "admin")).get("/admin/queues").status == 200

    local_cloud.down(settings, print)
    shutil.rmtree(settings.home / "postgres")
    other = local_cloud.up(settings, print)
    assert not set(subs(settings, other).values()) & set(known.values()), "a new database has new users"
    assert other["users"]["customer"]["password"] != first["users"]["customer"]["password"]


def token_of(settings: Settings, stack: Stack, user: str = "customer") -> str:
    return sign_in(settings, stack, user).access_token


def subject(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sub"])


def place(stack: Stack, token: str) -> str:
    body: dict[str, Any] = {
        "items": [{"productId": str(catalogue.MOUSE.id), "quantity": 1}],
        "currency": catalogue.CURRENCY,
        "paymentMethod": "pm_card_visa",
        "contact": {"email": "grace@example.com"},
    }
    placed = Caller(stack["api_url"], token).post(body)
    assert placed.status == 202
    return str(placed.body["orderId"])


def orders_of(stack: Stack, token: str) -> list[str]:
    return [order["orderId"] for order in Caller(stack["api_url"], token).get("/orders").body["items"]]


def subs(settings: Settings, stack: Stack) -> dict[str, str]:
    """The subject of each user of the pool, by address."""
    users = aws.cognito(settings).list_users(UserPoolId=stack["user_pool_id"])["Users"]
    attributes = [{entry["Name"]: entry.get("Value", "") for entry in user["Attributes"]} for user in users]
    return {known["email"]: known["sub"] for known in attributes}


def webhook_key(settings: Settings) -> str:
    function = aws.functions(settings).get_function_configuration(FunctionName="orders-local-webhooks")
    key_id = function["Environment"]["Variables"]["WEBHOOK_KEY_ID"]
    return str(aws.secrets(settings).get_secret_value(SecretId=key_id)["SecretString"])


def code_sent_to(settings: Settings, email: str) -> str:
    (code,) = [
        word.strip(".")
        for mail in mailbox.read(settings) or []
        if email in mail.to
        for word in mail.body.split()
        if word.strip(".").isdecimal()
    ]
    return code
