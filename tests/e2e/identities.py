"""Who is who in a local cloud, and what is theirs: what is to be the same after it was stopped or killed."""

import time
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import jwt
from sqlalchemy import create_engine

from tests.e2e.conftest import Cloud
from tests.e2e.test_account import Account
from tests.e2e.test_api import Caller
from tools.audit import mailbox
from tools.cloud import aws, catalogue
from tools.cloud.local_cloud import Sandbox
from tools.cloud.settings import Settings
from tools.cloud.stack import Stack, new_password, sign_in


@dataclass(frozen=True)
class Identities:
    """All that was known at one moment."""

    settings: Settings
    stack: Stack
    subjects: dict[str, str]
    """By address."""
    webhook_key: str
    grace: Account
    """Somebody who has signed up, and is signed in on the command line."""
    placed: tuple[str, str]
    """An order of the customer who comes with the cloud, and one of hers."""

    @classmethod
    def of(cls, sandbox: Sandbox, stack: Stack) -> Self:
        """What there is in a cloud that is up, with somebody new and two orders."""
        settings = sandbox.settings
        engine = create_engine(stack["database_url"])
        cloud = Cloud(settings, sandbox.environment, stack, engine, time.monotonic())
        grace = Account(cloud, f"grace-{uuid4().hex[:8]}@example.com", new_password())
        grace.orders("signup", grace.email, password=grace.password)
        grace.orders("confirm", grace.email, _code_sent_to(settings, grace.email))
        grace.orders("login", grace.email, password=grace.password)
        placed = _place(stack, _token(settings, stack)), _place(stack, grace.orders("token").strip())
        return cls(settings, stack, _subjects(settings, stack), _webhook_key(settings), grace, placed)

    def assert_kept(self, again: Stack) -> None:
        """The cloud that is up now is the same to everybody."""
        assert again == self.stack
        assert _subjects(self.settings, again) == self.subjects
        assert _webhook_key(self.settings) == self.webhook_key, "webhooks verify as before"
        # Grace is still signed in, and her password is good for a new sign-in.
        tokens = [_token(self.settings, again), self.grace.orders("token").strip()]
        self.grace.orders("login", self.grace.email, password=self.grace.password)
        assert _subject(self.grace.orders("token").strip()) == _subject(tokens[1])
        for token, order_id in zip(tokens, self.placed, strict=True):
            assert Caller(again["api_url"], token).get(f"/orders/{order_id}").status == 200
        admin = Caller(again["api_url"], _token(self.settings, again, "admin"))
        assert admin.get("/admin/queues").status == 200

    def assert_forgotten(self, other: Stack) -> None:
        """The cloud that is up now knows nobody of before."""
        assert not set(_subjects(self.settings, other).values()) & set(self.subjects.values())
        assert other["users"]["customer"]["password"] != self.stack["users"]["customer"]["password"]


def _token(settings: Settings, stack: Stack, user: str = "customer") -> str:
    return sign_in(settings, stack, user).access_token


def _subject(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sub"])


def _place(stack: Stack, token: str) -> str:
    body: dict[str, Any] = {
        "items": [{"productId": str(catalogue.MOUSE.id), "quantity": 1}],
        "currency": catalogue.CURRENCY,
        "paymentMethod": "pm_card_visa",
        "contact": {"email": "grace@example.com"},
    }
    placed = Caller(stack["api_url"], token).post(body)
    assert placed.status == 202
    return str(placed.body["orderId"])


def _subjects(settings: Settings, stack: Stack) -> dict[str, str]:
    """Of each user of the pool, by address."""
    users = aws.cognito(settings).list_users(UserPoolId=stack["user_pool_id"])["Users"]
    attributes = [{entry["Name"]: entry.get("Value", "") for entry in user["Attributes"]} for user in users]
    return {known["email"]: known["sub"] for known in attributes}


def _webhook_key(settings: Settings) -> str:
    function = aws.functions(settings).get_function_configuration(FunctionName="orders-local-webhooks")
    key_id = function["Environment"]["Variables"]["WEBHOOK_KEY_ID"]
    return str(aws.secrets(settings).get_secret_value(SecretId=key_id)["SecretString"])


def _code_sent_to(settings: Settings, email: str) -> str:
    (code,) = [
        word.strip(".")
        for mail in mailbox.read(settings) or []
        if email in mail.to
        for word in mail.body.split()
        if word.strip(".").isdecimal()
    ]
    return code
