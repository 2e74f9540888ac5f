"""A request that is sent again under one Idempotency-Key takes effect once; its secret is shown again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.webhooks.endpoints import Registrar, rotate_secret
from functions.webhooks.models import RegisterWebhook, RotateSecret
from orders.db import Credentials, Database
from orders.idempotency import IdempotentRequest
from orders.webhooks.keys import SigningKeys
from tests.integration.webhooks.test_deliveries import add_delivery, scheduled
from tests.integration.webhooks.test_webhooks import PATH
from tests.support.api import Answer, Client
from tests.support.factories import ALICE, add_order, execute, rows
from tests.support.webhooks import PUBLIC_ADDRESS, URL, FakeResolver, add_endpoint

KEY = {"Idempotency-Key": "register-1"}


@pytest.fixture
def webhook_id(alice: Client, database: Database) -> UUID:
    endpoint: UUID = add_endpoint(database)
    return endpoint


def assert_replayed(first: Answer, second: Answer) -> None:
    assert (second.status, second.json) == (first.status, first.json)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers


def test_a_registration_is_repeated_with_its_secret(alice: Client, database: Database) -> None:
    first = alice.post(PATH, {"url": URL}, KEY)
    second = alice.post(PATH, {"url": URL, "description": None}, KEY)

    assert first.status == 201
    assert_replayed(first, second)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["cache-control"] == "no-store"
    assert len(rows(database, "SELECT id FROM webhook_endpoints")) == 1
    assert first.json["secret"] not in str(rows(database, "SELECT * FROM webhook_requests"))


def test_a_registration_is_repeated_while_its_name_cannot_be_looked_up(
    alice: Client, resolver: FakeResolver
) -> None:
    first = alice.post(PATH, {"url": URL}, KEY)
    resolver.names.clear()

    assert_replayed(first, alice.post(PATH, {"url": URL}, KEY))


def test_what_was_refused_may_be_sent_again_under_its_key(alice: Client, resolver: FakeResolver) -> None:
    assert alice.post(PATH, {"url": "https://new.example.com/"}, KEY).status == 422
    resolver.names["new.example.com"] = [[PUBLIC_ADDRESS]]

    assert alice.post(PATH, {"url": "https://new.example.com/"}, KEY).status == 201


def test_a_registration_whose_webhook_was_deleted_makes_no_other_one(
    alice: Client, database: Database
) -> None:
    first = alice.post(PATH, {"url": URL}, KEY)
    alice.delete(f"{PATH}/{first.json['webhookId']}")

    again = alice.post(PATH, {"url": URL}, KEY)

    assert (again.status, again.json["type"].rsplit("/", 1)[1]) == (404, "webhook-not-found")
    assert rows(database, "SELECT id FROM webhook_endpoints") == []


def test_without_a_key_each_registration_is_one_of_its_own(alice: Client, database: Database) -> None:
    assert [alice.post(PATH, {"url": URL}).status for _ in range(2)] == [201, 201]
    assert rows(database, "SELECT key FROM webhook_requests") == []


def test_a_key_is_its_users_own(alice: Client, bob: Client) -> None:
    assert (
        alice.post(PATH, {"url": URL}, KEY).json["secret"] != bob.post(PATH, {"url": URL}, KEY).json["secret"]
    )


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "naïve"])
def test_a_key_that_is_none_is_refused(alice: Client, key: str) -> None:
    answer = alice.post(PATH, {"url": URL}, {"Idempotency-Key": key})

    assert (answer.status, answer.pointers) == (422, ["#/header/idempotency-key"])


def test_a_rotation_is_repeated_with_its_secret(
    alice: Client, database: Database, webhook_id: UUID, keys: SigningKeys
) -> None:
    first = alice.post(f"{PATH}/{webhook_id}/secret", "", KEY)
    second = alice.post(f"{PATH}/{webhook_id}/secret", {}, KEY)

    assert_replayed(first, second)
    assert second.headers["cache-control"] == "no-store"
    assert first.json["secret"] == keys.secret(webhook_id, 2)
    assert rows(database, "SELECT secret_version FROM webhook_endpoints") == [{"secret_version": 2}]


def test_a_late_repetition_shows_the_secret_of_its_own_rotation(
    alice: Client, webhook_id: UUID, keys: SigningKeys
) -> None:
    path = f"{PATH}/{webhook_id}/secret"
    alice.post(path, "", KEY)
    alice.post(path, {"revokePrevious": True})

    assert alice.post(path, "", KEY).json == {
        "webhookId": str(webhook_id),
        "secret": keys.secret(webhook_id, 2),
        # There is another one by now.
        "previousSecretExpiresAt": None,
    }


def test_an_enabling_that_is_repeated_does_not_undo_what_came_after_it(
    alice: Client, database: Database, webhook_id: UUID
) -> None:
    disable = (
        "UPDATE webhook_endpoints SET status = 'DISABLED', disabled_reason = 'GONE', disabled_at = now()"
    )
    execute(database, disable)
    assert alice.post(f"{PATH}/{webhook_id}/enable", "", KEY).json["status"] == "ENABLED"
    execute(database, disable)

    again = alice.post(f"{PATH}/{webhook_id}/enable", "", KEY)

    assert (again.status, again.json["status"]) == (200, "DISABLED")
    assert again.headers["idempotency-replayed"] == "true"


def test_a_redelivery_that_is_repeated_is_sent_once(
    alice: Client, database: Database, webhook_id: UUID
) -> None:
    delivery_id = add_delivery(database, webhook_id, add_order(database), status="DELIVERED", attempts=1)
    path = f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver"

    first = alice.post(path, "", KEY)
    assert_replayed(first, alice.post(path, "", KEY))

    assert scheduled(database) == [{"deliveryId": str(delivery_id), "attempt": 2, "postponed": 0}]


def test_a_test_that_is_repeated_is_sent_once(alice: Client, database: Database, webhook_id: UUID) -> None:
    first = alice.post(f"{PATH}/{webhook_id}/test", "", KEY)
    assert_replayed(first, alice.post(f"{PATH}/{webhook_id}/test", "", KEY))

    assert scheduled(database) == [{"deliveryId": first.json["deliveryId"], "attempt": 1, "postponed": 0}]


OTHERS: list[tuple[str, Callable[[Client, UUID], Answer]]] = [
    ("another URL", lambda client, _: client.post(PATH, {"url": f"{URL}/2"}, KEY)),
    ("another text", lambda client, _: client.post(PATH, {"url": URL, "description": "x"}, KEY)),
    (
        "another filter",
        lambda client, _: client.post(
            PATH, {"url": URL, "eventTypes": ["com.orders.order.confirmed.v1"]}, KEY
        ),
    ),
    ("a rotation", lambda client, webhook: client.post(f"{PATH}/{webhook}/secret", "", KEY)),
    ("an enabling", lambda client, webhook: client.post(f"{PATH}/{webhook}/enable", "", KEY)),
    ("a test", lambda client, webhook: client.post(f"{PATH}/{webhook}/test", "", KEY)),
    (
        "a redelivery",
        lambda client, webhook: client.post(f"{PATH}/{webhook}/deliveries/{uuid4()}/redeliver", "", KEY),
    ),
]


@pytest.mark.parametrize(("other", "send"), OTHERS, ids=[other for other, _ in OTHERS])
def test_another_request_under_the_same_key_is_refused(
    alice: Client,
    database: Database,
    webhook_id: UUID,
    other: str,
    send: Callable[[Client, UUID], Answer],
) -> None:
    alice.post(PATH, {"url": URL}, KEY)
    before = rows(database, "SELECT * FROM webhook_endpoints ORDER BY id")

    answer = send(alice, webhook_id)

    assert (answer.status, answer.json["type"].rsplit("/", 1)[1]) == (422, "idempotency-key-reused")
    assert rows(database, "SELECT * FROM webhook_endpoints ORDER BY id") == before
    assert scheduled(database) == []


def test_a_rotation_of_another_kind_under_the_same_key_is_refused(alice: Client, webhook_id: UUID) -> None:
    path = f"{PATH}/{webhook_id}/secret"
    alice.post(path, "", KEY)

    assert alice.post(path, {"revokePrevious": True}, KEY).status == 422
    assert alice.post(path, {"revokePrevious": False}, KEY).status == 200


@pytest.fixture
def processes(credentials: Credentials) -> list[Database]:
    return [Database(lambda: credentials) for _ in range(8)]


def at_once(processes: list[Database], send: Callable[[Database], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(processes)) as pool:
        results = list(pool.map(send, processes))
    for process in processes:
        process.engine.dispose()
    return results


def test_eight_registrations_at_once_under_one_key_are_one(
    database: Database, processes: list[Database], keys: SigningKeys, resolver: FakeResolver
) -> None:
    registrar = Registrar(keys, resolver, allow_loopback=False)
    asked = RegisterWebhook(url=URL)
    request = IdempotentRequest.of(asked, user_id=ALICE, key="k")

    made = at_once(processes, lambda process: registrar.register(process, ALICE, asked, request))

    assert len({one.content.secret for one in made}) == 1
    assert sorted(one.replayed for one in made) == [False] + [True] * 7
    assert len(rows(database, "SELECT id FROM webhook_endpoints")) == 1


def test_eight_rotations_at_once_under_one_key_are_one(
    database: Database, processes: list[Database], keys: SigningKeys
) -> None:
    webhook_id = str(add_endpoint(database))
    asked = RotateSecret()
    request = IdempotentRequest.of(asked, user_id=ALICE, key="k")

    rotated = at_once(
        processes, lambda process: rotate_secret(process, keys, ALICE, webhook_id, asked, request)
    )

    assert len({one.content.secret for one in rotated}) == 1
    assert rows(database, "SELECT secret_version FROM webhook_endpoints") == [{"secret_version": 2}]


def test_eight_rotations_at_once_without_a_key_are_eight_and_end_nobodys_day(
    database: Database, processes: list[Database], keys: SigningKeys
) -> None:
    webhook_id = str(add_endpoint(database))

    rotated = at_once(
        processes, lambda process: rotate_secret(process, keys, ALICE, webhook_id, RotateSecret())
    )

    assert len({one.content.secret for one in rotated}) == 8
    assert rows(database, "SELECT version FROM webhook_older_secrets ORDER BY version") == [
        {"version": version} for version in range(1, 8)
    ]
