"""Webhooks of all customers, failing ones first; and deliveries that an operator has sent again."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.operations import dependencies
from orders.db import Database
from tests.integration.operations.support import ADMIN, OPERATOR, Operations
from tests.integration.webhooks.test_deliveries import add_delivery
from tests.support.api import Answer, every_page
from tests.support.factories import ALICE, BOB, add_order, execute, rows
from tests.support.webhooks import URL, add_endpoint

FAILED = {"status": "FAILED", "attempts": 3, "last_status": 500, "last_error": "HTTP_STATUS"}
DELIVERED = {"status": "DELIVERED", "attempts": 1, "last_status": 204}


def listed(operations: Operations, query: str = "") -> list[dict[str, Any]]:
    answer = operations.admin.get(f"{ADMIN}/webhooks?{query}")
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def disable(database: Database, endpoint_id: UUID) -> None:
    execute(
        database,
        "UPDATE webhook_endpoints SET status = 'DISABLED', disabled_reason = 'GONE' WHERE id = :id",
        id=endpoint_id,
    )


def redeliver(operations: Operations, order_id: object, delivery_id: object, **body: Any) -> Answer:
    return operations.admin.post(f"{ADMIN}/orders/{order_id}/deliveries/{delivery_id}/redeliver", body)


def test_failing_webhooks_come_first_whose_ever_they_are(operations: Operations) -> None:
    database = operations.database
    order_id = add_order(database)
    failing, disabled, fine, idle = (
        add_endpoint(database, user_id=user, slot=slot)
        for user, slot in ((BOB, 1), (ALICE, 1), (ALICE, 2), (BOB, 2))
    )
    add_delivery(database, failing, order_id, **DELIVERED)
    add_delivery(database, failing, order_id, **FAILED)
    add_delivery(database, failing, order_id, status="PENDING", attempts=1, last_error="TIMEOUT")
    add_delivery(database, failing, order_id)
    disable(database, disabled)
    add_delivery(database, fine, order_id, **FAILED)
    add_delivery(database, fine, order_id, **DELIVERED)
    expected = [str(each) for each in (disabled, failing, idle, fine)]

    items = listed(operations)

    assert [item["webhookId"] for item in items] == expected
    assert [item["customerId"] for item in items] == [ALICE, BOB, BOB, ALICE]
    assert [item["consecutiveFailures"] for item in items] == [0, 2, 0, 0]
    assert [item["lastError"] for item in items] == [None, "TIMEOUT", None, None]
    assert [item["lastStatus"] for item in items] == [None, None, None, 204]
    assert [bool(item["lastAttemptAt"]) for item in items] == [False, True, False, True]
    paged = every_page(operations.admin, f"{ADMIN}/webhooks", limit=1)
    assert [item["webhookId"] for page in paged for item in page] == expected
    assert [item["webhookId"] for item in listed(operations, "status=DISABLED")] == [str(disabled)]


def test_a_url_is_shown_without_what_may_be_a_secret_in_it(operations: Operations) -> None:
    add_endpoint(operations.database, url="https://user:pass@shop.example.com:443/hooks?token=secret#part")

    (webhook,) = listed(operations)

    assert webhook["url"] == "https://shop.example.com:443/hooks"
    assert "secret" not in str(webhook)


def test_a_delivery_is_sent_again_and_that_is_on_record(operations: Operations) -> None:
    order_id = add_order(operations.database)
    endpoint = add_endpoint(operations.database)
    delivery_id = add_delivery(operations.database, endpoint, order_id, **FAILED)

    answer = redeliver(operations, order_id, delivery_id, note="their server is back")

    assert answer.status == 202
    assert answer.json == {"orderId": str(order_id), "deliveryId": str(delivery_id), "status": "PENDING"}
    (delivery,) = rows(operations.database, "SELECT status, attempts, first_attempt FROM webhook_deliveries")
    assert delivery == {"status": "PENDING", "attempts": 3, "first_attempt": 4}
    (event,) = rows(
        operations.database,
        "SELECT data, correlation_id FROM outbox WHERE type = 'com.orders.webhook.attempt_scheduled.v1'",
    )
    assert event["data"] == {"deliveryId": str(delivery_id), "attempt": 4, "postponed": 0}
    (action,) = operations.actions()
    assert (action["action"], action["operator"], action["target"]) == (
        "WEBHOOK_REDELIVERED",
        OPERATOR,
        str(delivery_id),
    )
    assert (action["order_id"], action["note"]) == (order_id, "their server is back")
    assert action["detail"] == f"webhook={endpoint} was=FAILED"


def test_what_is_sent_again_for_an_operator_counts_as_its_owner_s(
    operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = dependencies.settings.model_copy(update={"redeliveries_per_hour": 2})
    monkeypatch.setattr(dependencies, "settings", limited)
    order_id = add_order(operations.database)
    delivery_id = add_delivery(operations.database, add_endpoint(operations.database), order_id, **FAILED)

    answers = [redeliver(operations, order_id, delivery_id) for _ in range(3)]

    assert [answer.status for answer in answers] == [202, 202, 429]
    assert answers[-1].headers["retry-after"]
    assert len(operations.actions()) == 2
    (delivery,) = rows(operations.database, "SELECT attempts, first_attempt FROM webhook_deliveries")
    assert delivery == {"attempts": 3, "first_attempt": 4}, (
        "one round of attempts, however often it is asked for"
    )


def test_nothing_is_sent_to_a_disabled_webhook(operations: Operations) -> None:
    order_id = add_order(operations.database)
    endpoint = add_endpoint(operations.database)
    delivery_id = add_delivery(operations.database, endpoint, order_id, **FAILED)
    disable(operations.database, endpoint)

    answer = redeliver(operations, order_id, delivery_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "webhook-disabled")
    assert operations.actions() == []


def test_a_delivery_of_another_order_or_of_none_is_not_found(operations: Operations) -> None:
    order_id, other = add_order(operations.database), add_order(operations.database)
    endpoint = add_endpoint(operations.database)
    delivery_id = add_delivery(operations.database, endpoint, other, **FAILED)

    for wanted in (delivery_id, uuid4(), "nothing"):
        answer = redeliver(operations, order_id, wanted)
        assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "delivery-not-found")
    assert operations.actions() == []


def test_the_address_of_a_webhook_is_as_its_owner_gave_it(operations: Operations) -> None:
    add_endpoint(operations.database)
    assert [webhook["url"] for webhook in listed(operations)] == [URL]
