"""A customer's own server hears of their orders, through everything: the saga, the outbox, the queue, the functions."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Answer, Caller, await_end, request, tokens
from tests.support.webhooks import Received, customer_server

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Subscriber:
    """A user with a token, and nothing but HTTP."""

    caller: Caller

    def ask(self, method: str, path: str = "", body: Any = None) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        url = f"{self.caller.api_url}/api/v1/webhooks{path}"
        return request(method, url, content, {**headers, "Authorization": f"Bearer {self.caller.token}"})

    def register(self, url: str) -> dict[str, Any]:
        answer = self.ask("POST", body={"url": url})
        assert answer.status == 201, answer.body
        webhook: dict[str, Any] = answer.body
        return webhook

    def confirmed_order(self) -> str:
        """The id of an order that was followed to CONFIRMED."""
        placed = self.caller.post(ORDER)
        order_id: str = placed.body["orderId"]
        assert await_end(self.caller, order_id)["status"] == "CONFIRMED"
        return order_id

    def delivery(self, webhook: dict[str, Any], status: str) -> dict[str, Any]:
        """The webhook's one delivery, once it has this status."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            items = self.ask("GET", f"/{webhook['webhookId']}/deliveries").body["items"]
            if items and items[0]["status"] == status and items[0]["attempts"] > 0:
                assert len(items) == 1
                found: dict[str, Any] = items[0]
                return found
            time.sleep(0.1)
        pytest.fail(f"no delivery is {status}: {items}")


@pytest.fixture
def subscriber(running_cloud: Cloud) -> Iterator[Subscriber]:
    """The second customer, whose orders no other test looks at."""
    token = tokens(running_cloud, "other")["AccessToken"]
    subscriber = Subscriber(Caller(running_cloud.stack["api_url"], token))
    yield subscriber
    for webhook in subscriber.ask("GET").body["items"]:
        subscriber.ask("DELETE", f"/{webhook['webhookId']}")


def verified(received: Received, webhook: dict[str, Any]) -> Any:
    """What a receiver reads that verifies as docs/webhooks.md says."""
    return Webhook(webhook["secret"]).verify(received.body, received.headers)


def test_a_confirmed_order_is_exactly_one_verified_call(subscriber: Subscriber) -> None:
    with customer_server(200) as server:
        webhook = subscriber.register(server.url)
        order_id = subscriber.confirmed_order()
        server.wait_for(1, PATIENCE_SECONDS)
        delivered = subscriber.delivery(webhook, "DELIVERED")

    (received,) = server.received
    event = verified(received, webhook)
    assert event["type"] == "com.orders.order.confirmed.v1"
    assert (event["data"]["orderId"], event["data"]["status"]) == (order_id, "CONFIRMED")
    assert (delivered["orderId"], delivered["eventId"]) == (order_id, received.headers["webhook-id"])
    # Nothing else is on its way.
    assert (delivered["attempts"], delivered["lastStatus"], delivered["nextAttemptAt"]) == (1, 200, None)


def test_after_500_three_times_the_fourth_attempt_arrives(subscriber: Subscriber) -> None:
    with customer_server(500, 500, 500, 200) as server:
        webhook = subscriber.register(server.url)
        subscriber.confirmed_order()
        received = server.wait_for(4, PATIENCE_SECONDS)
        delivered = subscriber.delivery(webhook, "DELIVERED")

    assert len({(one.headers["webhook-id"], one.body) for one in received}) == 1
    assert [verified(one, webhook)["data"]["status"] for one in received] == ["CONFIRMED"] * 4
    assert (delivered["attempts"], delivered["lastStatus"], delivered["lastError"]) == (4, 200, None)


def test_with_the_server_gone_the_order_confirms_and_what_was_missed_can_be_sent_again(
    subscriber: Subscriber,
) -> None:
    with customer_server(200) as server:
        webhook = subscriber.register(server.url)
        url = server.url
    order_id = subscriber.confirmed_order()

    waiting = subscriber.delivery(webhook, "PENDING")
    assert (waiting["orderId"], waiting["lastStatus"], waiting["lastError"]) == (
        order_id,
        None,
        "CONNECTION_FAILED",
    )
    assert subscriber.ask("GET", f"/{webhook['webhookId']}").body["url"] == url
    again = subscriber.ask("POST", f"/{webhook['webhookId']}/deliveries/{waiting['deliveryId']}/redeliver")
    assert again.status == 202


def test_nobody_sees_anothers_webhooks(running_cloud: Cloud, subscriber: Subscriber) -> None:
    with customer_server(200) as server:
        webhook = subscriber.register(server.url)
    token = tokens(running_cloud, "customer")["AccessToken"]
    stranger = Subscriber(Caller(running_cloud.stack["api_url"], token))

    assert webhook["webhookId"] not in json.dumps(stranger.ask("GET").body)
    assert stranger.ask("DELETE", f"/{webhook['webhookId']}").status == 404
    assert Subscriber(Caller(running_cloud.stack["api_url"], None)).ask("GET").status == 401
