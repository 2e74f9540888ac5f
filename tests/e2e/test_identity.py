"""Who is let in: every kind of bad token on every protected route, and every route with an id for another user.

The routes are those of the CDK app, so that a new one is covered at once. Bad tokens are made from a good one, which
the pool's own key signs: the emulator keeps it in a file. Each differs from the good one in one thing.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.constructs.api import ROUTES, Route
from orders.contract import API_PREFIX
from orders.http import ADMIN_PATHS
from orders.ids import uuid7
from tests.e2e.conftest import Cloud
from tests.e2e.routes import PROTECTED, is_for_administrators, name_of, send
from tests.e2e.test_api import Caller
from tests.e2e.test_webhooks import Subscriber
from tests.support.webhooks import customer_server
from tools.cloud import aws
from tools.cloud.stack import new_password, sign_in

Claims = dict[str, Any]


@dataclass(frozen=True)
class Forge:
    """Makes tokens of the pool from the claims of a genuine access token."""

    claims: Claims
    key: rsa.RSAPrivateKey
    key_id: str
    id_token: str
    foreign_token: str

    def signed(self, **changes: Any) -> str:
        """By the pool's key; a claim that is changed to None is left out."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not None}
        return jwt.encode(claims, self.key, "RS256", {"kid": self.key_id})

    def signed_otherwise(self, algorithm: str, key_id: str, sign: Callable[[bytes], bytes]) -> str:
        header = _encoded({"alg": algorithm, "typ": "JWT", "kid": key_id})
        content = f"{header}.{_encoded(self.claims)}"
        return f"{content}.{_base64(sign(content.encode()))}"

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def _encoded(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def _stranger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _with_another_key(forge: Forge, key_id: str) -> str:
    return jwt.encode(forge.claims, _stranger(), "RS256", {"kid": key_id})


def _tampered(forge: Forge) -> str:
    header, _, signature = forge.signed().split(".")
    return f"{header}.{_encoded({**forge.claims, 'sub': str(uuid4())})}.{signature}"


BAD_TOKENS: dict[str, Callable[[Forge], str | None]] = {
    "no token": lambda forge: None,
    "garbage": lambda forge: "garbage",
    "garbage in three parts": lambda forge: "a.b.c",
    "alg none": lambda forge: forge.signed_otherwise("none", forge.key_id, lambda content: b""),
    "HS256 with the public key as its secret": lambda forge: forge.signed_otherwise(
        "HS256", forge.key_id, lambda content: hmac.digest(forge.public_key, content, hashlib.sha256)
    ),
    "an unknown kid": lambda forge: jwt.encode(forge.claims, forge.key, "RS256", {"kid": "unknown"}),
    "no kid": lambda forge: jwt.encode(forge.claims, forge.key, "RS256"),
    "another key under the pool's kid": lambda forge: _with_another_key(forge, forge.key_id),
    "claims changed after signing": _tampered,
    "a wrong issuer": lambda forge: forge.signed(iss=f"{forge.claims['iss']}x"),
    "no issuer": lambda forge: forge.signed(iss=None),
    "another client": lambda forge: forge.signed(client_id="1234567890abcdefghijklmnop"),
    "no client": lambda forge: forge.signed(client_id=None),
    "expired": lambda forge: forge.signed(exp=int(time.time()) - 1),
    "not yet valid": lambda forge: forge.signed(nbf=int(time.time()) + 600),
    "issued in the future": lambda forge: forge.signed(iat=int(time.time()) + 600),
    "of another pool": lambda forge: forge.foreign_token,
}
WITHOUT_THE_SCOPE: dict[str, Callable[[Forge], str]] = {
    "an ID token": lambda forge: forge.id_token,
    "another scope": lambda forge: forge.signed(scope="openid profile"),
    "no scope": lambda forge: forge.signed(scope=None),
}
"""Genuine, but not for this API: API Gateway's answer to that is 403."""


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def foreign_token(running_cloud: Cloud) -> str:
    """A genuine access token of another pool of the same account."""
    cognito = aws.cognito(running_cloud.settings)
    pool = cognito.create_user_pool(PoolName="strangers")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="strangers", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    password = new_password()
    cognito.admin_create_user(UserPoolId=pool, Username="mallory", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="mallory", Password=password, Permanent=True)
    answer = cognito.initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=client,
        AuthParameters={"USERNAME": "mallory", "PASSWORD": password},
    )
    return answer["AuthenticationResult"]["AccessToken"]


@pytest.fixture(scope="module")
def forges(running_cloud: Cloud, foreign_token: str) -> dict[str, Forge]:
    """By user."""
    pool = running_cloud.stack["user_pool_id"]
    keys = running_cloud.settings.emulator_state / "cognito-pool-keys"
    key = serialization.load_pem_private_key((keys / f"{pool}-access.pem").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)

    def forge(user: str) -> Forge:
        tokens = sign_in(running_cloud.settings, running_cloud.stack, user)
        claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
        key_id = jwt.get_unverified_header(tokens.access_token)["kid"]
        return Forge(claims, key, key_id, tokens.id_token, foreign_token)

    return {user: forge(user) for user in ("customer", "other", "admin")}


def rightful(route: Route) -> str:
    """Who may call the route: a bad token must be refused although its claims are theirs."""
    return "admin" if is_for_administrators(route) else "customer"


@pytest.mark.parametrize("route", PROTECTED, ids=name_of)
def test_a_good_token_is_let_in(
    running_cloud: Cloud, http: httpx.Client, forges: dict[str, Forge], route: Route
) -> None:
    answer = send(http, running_cloud, route, forges[rightful(route)].signed())
    assert answer.status_code not in {401, 403}, "or the tokens below would be refused for another reason"


@pytest.mark.parametrize("route", PROTECTED, ids=name_of)
def test_a_bad_token_is_refused(
    running_cloud: Cloud, http: httpx.Client, forges: dict[str, Forge], route: Route
) -> None:
    for kind, token in BAD_TOKENS.items():
        answer = send(http, running_cloud, route, token(forges[rightful(route)]))
        assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"}), kind


@pytest.mark.parametrize("route", PROTECTED, ids=name_of)
def test_a_genuine_token_without_the_scope_is_refused(
    running_cloud: Cloud, http: httpx.Client, forges: dict[str, Forge], route: Route
) -> None:
    for kind, token in WITHOUT_THE_SCOPE.items():
        answer = send(http, running_cloud, route, token(forges[rightful(route)]))
        assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"}), kind


@pytest.mark.parametrize("route", [route for route in PROTECTED if is_for_administrators(route)], ids=name_of)
def test_an_administrator_s_route_is_none_of_a_customer_s(
    running_cloud: Cloud, http: httpx.Client, forges: dict[str, Forge], route: Route
) -> None:
    answer = send(http, running_cloud, route, forges["customer"].signed())
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("/administrators-only")


def test_every_route_below_the_administrators_paths_is_protected() -> None:
    open_paths = [f"{API_PREFIX}{route.path}" for route in ROUTES if route.is_open]
    assert not [path for path in open_paths if path.startswith(ADMIN_PATHS)]


# Another user's id. A route for administrators has no other users, and an open one no owners.
# What deletes comes last: its owner tries it too.
OWNED = sorted(
    (route for route in PROTECTED if "{" in route.path and not is_for_administrators(route)),
    key=lambda route: route.method.value == "DELETE",
)


@pytest.fixture(scope="module")
def belongings(running_cloud: Cloud, forges: dict[str, Forge]) -> Iterator[dict[str, str]]:
    """Something of the customer's for each variable of a path. A new variable needs something here."""
    owner = Subscriber(Caller(running_cloud.stack["api_url"], forges["customer"].signed()))
    with customer_server(200) as server:
        webhook = owner.register(server.url)
        order_id = owner.confirmed_order()
        delivery = owner.delivery(webhook, "DELIVERED")
    recipient = httpx.post(
        f"{running_cloud.stack['api_url']}{API_PREFIX}/recipients",
        json={"channel": "email", "address": f"{uuid7().hex}@example.com"},
        headers={"Authorization": f"Bearer {owner.caller.token}", "Idempotency-Key": str(uuid7())},
        trust_env=False,
    )
    assert recipient.status_code == 202, recipient.text
    yield {
        "orderId": order_id,
        "webhookId": webhook["webhookId"],
        "deliveryId": delivery["deliveryId"],
        "recipientId": recipient.json()["recipientId"],
    }
    owner.ask("DELETE", f"/{webhook['webhookId']}")


@pytest.mark.parametrize("route", OWNED, ids=name_of)
def test_what_is_another_user_s_does_not_exist(
    running_cloud: Cloud,
    http: httpx.Client,
    forges: dict[str, Forge],
    belongings: dict[str, str],
    route: Route,
) -> None:
    token = forges["other"].signed()
    another_s = send(http, running_cloud, route, token, belongings)
    unknown = send(http, running_cloud, route, token, {name: str(uuid7()) for name in belongings})

    assert another_s.status_code == unknown.status_code == 404
    assert without_its_own(another_s) == without_its_own(unknown)

    own = send(http, running_cloud, route, forges["customer"].signed(), belongings)
    assert own.status_code != 404, "it is there, still"


def without_its_own(answer: httpx.Response) -> dict[str, Any]:
    return {**answer.json(), "instance": "", "correlationId": ""}
