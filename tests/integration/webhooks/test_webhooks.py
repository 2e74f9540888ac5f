"""Registering webhooks: what is accepted, what a secret is shown for, and how many there may be."""

import importlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
from moto import mock_aws

from functions.webhooks.endpoints import OVERLAP_SECONDS, Registrar
from functions.webhooks.models import RegisterWebhook
from orders.db import Credentials, Database
from orders.errors import ServiceUnavailable, WebhookLimitReached
from orders.webhooks.keys import SigningKeys
from orders.webhooks.states import MAX_WEBHOOKS
from tests.support.api import Answer, Client
from tests.support.factories import ALICE, execute, rows
from tests.support.logs import Logs
from tests.support.webhooks import KEY, PUBLIC_ADDRESS, URL, FakeResolver

PATH = "/api/v1/webhooks"


def register(client: Client, url: str = URL, **fields: Any) -> Answer:
    return client.post(PATH, {"url": url, **fields})


def registered(client: Client) -> str:
    """The id of a new webhook."""
    answer = register(client)
    assert answer.status == 201
    return str(answer.json["webhookId"])


def test_a_webhook_is_registered_and_its_secret_shown(alice: Client) -> None:
    answer = register(alice, description="The shop's own ears")

    assert answer.status == 201
    webhook = answer.json
    assert answer.headers["location"] == f"{PATH}/{webhook['webhookId']}"
    assert answer.headers["cache-control"] == "no-store"
    assert webhook.pop("secret").startswith("whsec_")
    assert webhook == {
        "webhookId": str(UUID(webhook["webhookId"])),
        "url": URL,
        "description": "The shop's own ears",
        "eventTypes": None,
        "status": "ENABLED",
        "disabledReason": None,
        "disabledAt": None,
        "createdAt": webhook["createdAt"],
    }
    assert datetime.fromisoformat(webhook["createdAt"]).utcoffset() == timedelta(0)


def test_the_secret_is_shown_once(alice: Client) -> None:
    webhook = register(alice).json
    secret = webhook.pop("secret")

    shown = alice.get(f"{PATH}/{webhook['webhookId']}")
    listed = alice.get(PATH)

    assert (shown.status, shown.json) == (200, webhook)
    assert (listed.status, listed.json) == (200, {"items": [webhook], "nextCursor": None})
    assert secret not in shown.text + listed.text


def test_no_secret_stands_in_the_database_or_in_a_log(alice: Client, database: Database, logs: Logs) -> None:
    webhook = register(alice).json
    rotated = alice.post(f"{PATH}/{webhook['webhookId']}/secret", "").json

    kept = str(rows(database, "SELECT * FROM webhook_endpoints"))
    for secret in (webhook["secret"], rotated["secret"]):
        assert secret not in kept + logs.everything
        assert secret.removeprefix("whsec_") not in kept + logs.everything


def test_each_webhook_has_a_secret_of_its_own(alice: Client) -> None:
    assert len({register(alice).json["secret"] for _ in range(3)}) == 3


def test_a_user_has_five_webhooks_and_no_sixth(alice: Client, bob: Client) -> None:
    assert [register(alice).status for _ in range(MAX_WEBHOOKS)] == [201] * 5

    sixth = register(alice)

    assert sixth.status == 409
    assert sixth.json["type"].endswith("/webhook-limit-reached")
    assert len(alice.get(PATH).json["items"]) == 5
    assert register(bob).status == 201


def test_a_webhook_that_is_deleted_makes_room(alice: Client) -> None:
    ids = [registered(alice) for _ in range(MAX_WEBHOOKS)]

    assert alice.delete(f"{PATH}/{ids[2]}").status == 204
    assert alice.get(f"{PATH}/{ids[2]}").status == 404
    assert register(alice).status == 201
    assert register(alice).status == 409


def test_ten_registrations_at_once_make_five_webhooks(
    credentials: Credentials, database: Database, keys: SigningKeys, resolver: FakeResolver
) -> None:
    processes = [Database(lambda: credentials) for _ in range(10)]
    registrar = Registrar(keys, resolver, allow_loopback=False)

    def attempt(process: Database) -> bool:
        try:
            registrar.register(process, ALICE, RegisterWebhook(url=URL))
        except WebhookLimitReached:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        accepted = list(pool.map(attempt, processes))

    assert sorted(accepted) == [False] * 5 + [True] * 5
    assert rows(database, "SELECT slot FROM webhook_endpoints ORDER BY slot") == [
        {"slot": slot} for slot in range(1, 6)
    ]
    for process in processes:
        process.engine.dispose()


def test_a_registration_that_is_run_again_after_its_commit_was_lost_makes_one_webhook(
    database: Database, keys: SigningKeys, resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = database.transact
    monkeypatch.setattr(database, "transact", lambda work: (once(work), once(work))[1])

    webhook = Registrar(keys, resolver, allow_loopback=False).register(
        database, ALICE, RegisterWebhook(url=URL)
    )

    assert rows(database, "SELECT id FROM webhook_endpoints") == [{"id": webhook.content.webhook_id}]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/url"),
        ({"url": 1}, "#/url"),
        ({"url": None}, "#/url"),
        ({"url": "http://shop.example.com/"}, "#/url"),
        ({"url": "https://ada:pw@shop.example.com/"}, "#/url"),
        ({"url": "https://shop.example.com:8443/"}, "#/url"),
        ({"url": "https://unknown.example.com/"}, "#/url"),
        ({"url": "x" * 5000}, "#/url"),
        ({"url": URL, "description": ""}, "#/description"),
        ({"url": URL, "description": "x" * 201}, "#/description"),
        ({"url": URL, "description": "two\nlines"}, "#/description"),
        ({"url": URL, "secret": "whsec_mine"}, "#/secret"),
    ],
)
def test_a_bad_registration_is_refused_by_field(
    alice: Client, database: Database, body: Any, pointer: str
) -> None:
    answer = alice.post(PATH, body)

    assert (answer.status, answer.pointers) == (422, [pointer])
    assert rows(database, "SELECT id FROM webhook_endpoints") == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.215.14",
        "64:ff9b::a00:1",
    ],
)
def test_a_name_that_leads_into_a_private_network_is_refused(
    alice: Client, resolver: FakeResolver, address: str
) -> None:
    resolver.names["inside.example.com"] = [[address]]
    # Among good ones, too: which of them an attempt would take is not for its owner to choose.
    resolver.names["both.example.com"] = [[PUBLIC_ADDRESS, address]]

    for host in ("inside.example.com", "both.example.com"):
        answer = register(alice, f"https://{host}/")
        assert (answer.status, answer.pointers) == (422, ["#/url"])
        assert "public internet" in answer.json["errors"][0]["detail"]
        assert address not in answer.text


def test_a_host_is_looked_up_by_the_name_that_is_kept(alice: Client, resolver: FakeResolver) -> None:
    resolver.names["xn--bcher-kva.example"] = [[PUBLIC_ADDRESS]]

    assert register(alice, "https://Bücher.example/hook").json["url"] == "https://xn--bcher-kva.example/hook"
    assert resolver.asked == ["xn--bcher-kva.example"]


def test_a_replaced_secret_is_another_one_and_the_one_before_has_a_day(alice: Client) -> None:
    webhook = register(alice).json

    # Without a body, as curl sends it.
    answer = alice.post(f"{PATH}/{webhook['webhookId']}/secret", "")

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"webhookId", "secret", "previousSecretExpiresAt"}
    assert answer.json["secret"] != webhook["secret"]
    expires = datetime.fromisoformat(answer.json["previousSecretExpiresAt"])
    assert abs((expires - datetime.now(expires.tzinfo)).total_seconds() - OVERLAP_SECONDS) < 60


def test_a_disabled_webhook_says_why_and_can_be_enabled(alice: Client, database: Database) -> None:
    path = f"{PATH}/{registered(alice)}"
    execute(
        database,
        "UPDATE webhook_endpoints SET status = 'DISABLED', disabled_reason = 'UNDELIVERABLE', disabled_at = now()",
    )
    disabled = alice.get(path).json
    assert (disabled["status"], disabled["disabledReason"]) == ("DISABLED", "UNDELIVERABLE")
    assert disabled["disabledAt"] is not None

    enabled = alice.post(f"{path}/enable", "")

    assert enabled.status == 200
    assert [enabled.json[name] for name in ("status", "disabledReason", "disabledAt")] == [
        "ENABLED",
        None,
        None,
    ]
    assert alice.get(path).json == enabled.json


BY_OTHERS: list[tuple[str, Callable[[Client, str], Answer]]] = [
    ("GET", lambda client, path: client.get(path)),
    ("DELETE", lambda client, path: client.delete(path)),
    ("POST secret", lambda client, path: client.post(f"{path}/secret", "")),
    ("POST enable", lambda client, path: client.post(f"{path}/enable", "")),
    ("POST test", lambda client, path: client.post(f"{path}/test", "")),
    ("PATCH", lambda client, path: client.patch(path, {"url": "https://unknown.example.com/"})),
    ("GET deliveries", lambda client, path: client.get(f"{path}/deliveries")),
    ("POST redeliver", lambda client, path: client.post(f"{path}/deliveries/{uuid4()}/redeliver", "")),
]


@pytest.mark.parametrize(("route", "call"), BY_OTHERS, ids=[route for route, _ in BY_OTHERS])
def test_anothers_webhook_is_as_unknown_as_none_at_all(
    alice: Client, bob: Client, database: Database, route: str, call: Callable[[Client, str], Answer]
) -> None:
    webhook_id = registered(alice)
    before = rows(database, "SELECT * FROM webhook_endpoints")

    anothers = call(bob, f"{PATH}/{webhook_id}")
    nobodys = [call(bob, f"{PATH}/{unknown}") for unknown in (uuid4(), "not-an-id", f"{{{webhook_id}}}")]

    for answer in (anothers, *nobodys):
        assert answer.status == 404
        assert answer.json["type"].endswith("/webhook-not-found")
        assert answer.json["detail"] == nobodys[0].json["detail"]
    assert bob.get(PATH).json["items"] == []
    assert rows(database, "SELECT * FROM webhook_endpoints") == before


def test_without_the_key_nothing_is_registered(
    alice: Client, database: Database, resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> str:
        raise ServiceUnavailable("away")

    module = sys.modules["functions.webhooks.handler"]
    monkeypatch.setattr(module, "registrar", Registrar(SigningKeys(away), resolver, allow_loopback=False))

    answer = register(alice)

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert rows(database, "SELECT id FROM webhook_endpoints") == []


def test_the_function_takes_its_key_from_secrets_manager(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mock_aws():
        secrets = boto3.client("secretsmanager")
        # Powertools remembers secrets by name, and each test has a database of its own.
        secrets.create_secret(Name=credentials.dbname, SecretString=credentials.model_dump_json())
        secrets.create_secret(Name=f"{credentials.dbname}-key", SecretString=KEY)
        monkeypatch.setenv("STAGE", "local")
        monkeypatch.setenv("ALLOW_LOOPBACK_WEBHOOKS", "true")
        monkeypatch.setenv("DATABASE_SECRET_ID", credentials.dbname)
        monkeypatch.setenv("WEBHOOK_KEY_ID", f"{credentials.dbname}-key")
        monkeypatch.delitem(sys.modules, "functions.webhooks.handler", raising=False)
        module = importlib.import_module("functions.webhooks.handler")

        # The one name that every machine knows.
        webhook = register(Client(module.handler), "http://localhost:8080/hook").json
        module.database.engine.dispose()

    assert webhook["secret"] == SigningKeys(lambda: KEY).secret(UUID(webhook["webhookId"]), 1)
