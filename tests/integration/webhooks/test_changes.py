"""Changing what a webhook is told and where, and trying it out."""

import time
from typing import Any
from uuid import UUID

import pytest

from functions.webhooks import endpoints
from functions.webhooks.delivery_history import TEST_BURST, TEST_INTERVAL_SECONDS
from orders.db import Database
from orders.webhooks.states import WebhookEventType
from tests.integration.webhooks.test_deliveries import add_delivery, scheduled
from tests.integration.webhooks.test_webhooks import PATH, register
from tests.support.api import Client
from tests.support.factories import add_order, execute, rows
from tests.support.webhooks import PUBLIC_ADDRESS, URL, FakeResolver

CONFIRMED = WebhookEventType.CONFIRMED
CANCELLED = WebhookEventType.CANCELLED
REVIEW = WebhookEventType.REVIEW_REQUIRED


@pytest.fixture
def webhook(alice: Client) -> dict[str, Any]:
    registered: dict[str, Any] = register(alice, description="Mine", eventTypes=[CONFIRMED]).json
    registered.pop("secret")
    return registered


@pytest.fixture
def path(webhook: dict[str, Any]) -> str:
    return f"{PATH}/{webhook['webhookId']}"


class TestWhatItIsTold:
    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ({}, None),
            ({"eventTypes": None}, None),
            ({"eventTypes": [CONFIRMED]}, [CONFIRMED]),
            ({"eventTypes": [REVIEW, CONFIRMED, REVIEW]}, [CONFIRMED, REVIEW]),
            ({"eventTypes": list(WebhookEventType)}, sorted(WebhookEventType)),
        ],
    )
    def test_is_what_was_asked_for(self, alice: Client, asked: dict[str, Any], shown: Any) -> None:
        answer = register(alice, **asked)

        assert (answer.status, answer.json["eventTypes"]) == (201, shown)
        assert alice.get(f"{PATH}/{answer.json['webhookId']}").json["eventTypes"] == shown

    @pytest.mark.parametrize(
        ("asked", "pointer"),
        [
            (["com.orders.order.shipped.v1"], "#/eventTypes/0"),
            ([CONFIRMED, "confirmed"], "#/eventTypes/1"),
            (["com.orders.webhook.test.v1"], "#/eventTypes/0"),
            (["com.orders.webhook.attempt_scheduled.v1"], "#/eventTypes/0"),
            ([f" {CONFIRMED}"], "#/eventTypes/0"),
            ([1], "#/eventTypes/0"),
            ([None], "#/eventTypes/0"),
            ([], "#/eventTypes"),
            (CONFIRMED, "#/eventTypes"),
            ({CONFIRMED: True}, "#/eventTypes"),
        ],
        ids=str,
    )
    def test_is_nothing_unknown(
        self, alice: Client, path: str, webhook: dict[str, Any], asked: Any, pointer: str
    ) -> None:
        for answer in (register(alice, eventTypes=asked), alice.patch(path, {"eventTypes": asked})):
            assert (answer.status, answer.pointers) == (422, [pointer])
            if pointer[-1].isdigit():
                (error,) = answer.json["errors"]
                assert all(known in error["detail"] for known in WebhookEventType)
        assert alice.get(path).json == webhook


class TestAChange:
    @pytest.mark.parametrize(
        "change",
        [
            {"url": "https://new.example.com/hooks"},
            {"description": "Yours"},
            {"description": None},
            {"eventTypes": [CANCELLED]},
            {"eventTypes": None},
            {"url": "https://new.example.com/", "description": None, "eventTypes": [CONFIRMED, REVIEW]},
        ],
        ids=str,
    )
    def test_is_of_what_is_named_and_of_nothing_else(
        self,
        alice: Client,
        resolver: FakeResolver,
        path: str,
        webhook: dict[str, Any],
        change: dict[str, Any],
    ) -> None:
        resolver.names["new.example.com"] = [[PUBLIC_ADDRESS]]

        answer = alice.patch(path, change)

        assert (answer.status, answer.json) == (200, webhook | change)
        assert alice.get(path).json == webhook | change

    def test_keeps_the_secret(self, alice: Client, database: Database, path: str) -> None:
        alice.patch(path, {"url": f"{URL}/2"})

        assert rows(database, "SELECT secret_version FROM webhook_endpoints") == [{"secret_version": 1}]

    def test_shows_the_url_as_it_is_used(self, alice: Client, resolver: FakeResolver, path: str) -> None:
        resolver.names["xn--fa-hia.de"] = [[PUBLIC_ADDRESS]]

        assert alice.patch(path, {"url": "https://FAß.de"}).json["url"] == "https://xn--fa-hia.de/"

    def test_does_not_enable(self, alice: Client, database: Database, path: str) -> None:
        execute(database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

        assert alice.patch(path, {"url": f"{URL}/2"}).json["status"] == "DISABLED"

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({}, "#"),
            ({"url": None}, "#/url"),
            ({"url": ""}, "#/url"),
            ({"url": "http://shop.example.com/"}, "#/url"),
            ({"url": "https://unknown.example.com/"}, "#/url"),
            ({"url": "https://127.0.0.1/"}, "#/url"),
            ({"url": "https://inside.example.com/"}, "#/url"),
            ({"description": ""}, "#/description"),
            ({"status": "ENABLED"}, "#/status"),
            ({"secret": "whsec_mine"}, "#/secret"),
            ({"webhookId": "1"}, "#/webhookId"),
        ],
        ids=str,
    )
    def test_is_checked_as_a_registration_is(
        self,
        alice: Client,
        resolver: FakeResolver,
        path: str,
        webhook: dict[str, Any],
        change: dict[str, Any],
        pointer: str,
    ) -> None:
        resolver.names |= {"127.0.0.1": [["127.0.0.1"]], "inside.example.com": [["10.0.0.1"]]}

        answer = alice.patch(path, change)

        assert (answer.status, answer.pointers) == (422, [pointer])
        assert alice.get(path).json == webhook


class TestOneAnswer:
    """A customer must not find out which names and addresses there are in our network."""

    HOSTS = ("unknown.example.com", "inside.example.com", "both.example.com", "10.0.0.1", "[fd00:ec2::254]")

    @pytest.fixture
    def inside(self, resolver: FakeResolver) -> FakeResolver:
        resolver.names |= {
            "inside.example.com": [["10.0.0.1"]],
            "both.example.com": [[PUBLIC_ADDRESS, "169.254.169.254"]],
            "10.0.0.1": [["10.0.0.1"]],
            "fd00:ec2::254": [["fd00:ec2::254"]],
        }
        return resolver

    def test_is_given_to_a_name_that_does_not_exist_and_to_one_that_leads_inside(
        self, alice: Client, path: str, inside: FakeResolver
    ) -> None:
        bodies = [
            {name: value for name, value in answer.json.items() if name not in ("correlationId", "instance")}
            for host in self.HOSTS
            for answer in (
                register(alice, f"https://{host}/"),
                alice.patch(path, {"url": f"https://{host}/"}),
            )
        ]

        assert bodies[0]["status"] == 422
        assert "public internet" in bodies[0]["errors"][0]["detail"]
        assert all(body == bodies[0] for body in bodies)

    def test_takes_the_same_time(
        self, alice: Client, inside: FakeResolver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "RESOLVE_SECONDS", 0.3)
        took: list[float] = []
        for host in self.HOSTS:
            begun = time.monotonic()
            register(alice, f"https://{host}/")
            took.append(time.monotonic() - begun)

        assert min(took) >= 0.3

    def test_is_not_waited_for_by_a_name_that_is_fine(
        self, alice: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(endpoints, "RESOLVE_SECONDS", 30)
        begun = time.monotonic()

        assert register(alice).status == 201
        assert time.monotonic() - begun < 5


class TestATest:
    def test_is_a_delivery_like_any_other(
        self, alice: Client, database: Database, path: str, webhook: dict[str, Any]
    ) -> None:
        answer = alice.post(f"{path}/test", "")

        assert answer.status == 202
        delivery = answer.json
        assert (delivery["eventType"], delivery["orderId"]) == ("com.orders.webhook.test.v1", None)
        assert (delivery["status"], delivery["attempts"]) == ("PENDING", 0)
        assert alice.get(f"{path}/deliveries").json["items"] == [delivery]
        assert scheduled(database) == [{"deliveryId": delivery["deliveryId"], "attempt": 1, "postponed": 0}]
        assert rows(database, "SELECT subject FROM outbox") == [{"subject": UUID(webhook["webhookId"])}]

    def test_can_be_sent_again(self, alice: Client, database: Database, path: str) -> None:
        delivery = alice.post(f"{path}/test", "").json
        execute(database, "UPDATE webhook_deliveries SET status = 'FAILED', attempts = 9")

        again = alice.post(f"{path}/deliveries/{delivery['deliveryId']}/redeliver", "")

        assert (again.status, again.json["orderId"]) == (202, None)

    def test_is_not_sent_to_a_disabled_webhook(self, alice: Client, database: Database, path: str) -> None:
        execute(database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

        assert alice.post(f"{path}/test", "").status == 409
        assert scheduled(database) == []

    def test_is_not_sent_without_end(self, alice: Client, database: Database, path: str) -> None:
        assert [alice.post(f"{path}/test", "").status for _ in range(TEST_BURST)] == [202] * TEST_BURST

        refused = alice.post(f"{path}/test", "")

        assert refused.status == 429
        assert refused.json["type"].endswith("/too-many-tests")
        assert 1 <= int(refused.headers["retry-after"]) <= TEST_INTERVAL_SECONDS
        assert len(scheduled(database)) == TEST_BURST
        execute(
            database,
            "UPDATE webhook_endpoints SET tests_until = tests_until - make_interval(secs => :s)",
            s=TEST_INTERVAL_SECONDS,
        )
        assert [alice.post(f"{path}/test", "").status for _ in range(2)] == [202, 429]

    def test_limits_nothing_that_is_sent_again(
        self, alice: Client, database: Database, path: str, webhook: dict[str, Any]
    ) -> None:
        delivery_id = add_delivery(database, UUID(webhook["webhookId"]), add_order(database))
        execute(database, "UPDATE webhook_endpoints SET tests_until = now() + interval '1 day'")

        assert alice.post(f"{path}/test", "").status == 429
        assert alice.post(f"{path}/deliveries/{delivery_id}/redeliver", "").status == 202

    def test_limits_no_other_webhook(self, alice: Client, database: Database, path: str) -> None:
        execute(database, "UPDATE webhook_endpoints SET tests_until = now() + interval '1 day'")
        other = register(alice).json["webhookId"]

        assert alice.post(f"{PATH}/{other}/test", "").status == 202
