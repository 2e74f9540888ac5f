"""Looking at what was delivered, page by page, and having it sent again."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from orders.db import Database
from orders.ids import uuid7
from tests.integration.webhooks.test_webhooks import PATH
from tests.support.api import Client
from tests.support.factories import BOB, add_order, execute, rows
from tests.support.webhooks import add_endpoint

CONFIRMED = "com.orders.order.confirmed.v1"


@pytest.fixture
def webhook_id(alice: Client, database: Database) -> UUID:
    endpoint: UUID = add_endpoint(database)
    return endpoint


@pytest.fixture
def order_id(database: Database) -> UUID:
    return add_order(database)


def add_delivery(database: Database, endpoint_id: UUID, order_id: UUID, **columns: Any) -> UUID:
    """A delivery that waits for its first attempt, but for what `columns` say."""
    delivery = {
        "id": uuid7(),
        "endpoint_id": endpoint_id,
        "event_id": uuid7(),
        "event_type": CONFIRMED,
        "order_id": order_id,
        "body": "{}",
        **columns,
    }
    names = ", ".join(delivery)
    values = ", ".join(f":{name}" for name in delivery)
    execute(database, f"INSERT INTO webhook_deliveries ({names}) VALUES ({values})", **delivery)
    found: UUID = delivery["id"]
    return found


def test_a_delivery_says_how_it_stands(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    event_id = uuid7()
    delivery_id = add_delivery(
        database,
        webhook_id,
        order_id,
        event_id=event_id,
        attempts=2,
        last_status=500,
        last_error="HTTP_STATUS",
    )
    execute(database, "UPDATE webhook_deliveries SET next_attempt_at = now() + interval '5 minutes'")

    answer = alice.get(f"{PATH}/{webhook_id}/deliveries")

    assert answer.status == 200
    (delivery,) = answer.json["items"]
    assert delivery.pop("createdAt") < delivery.pop("nextAttemptAt")
    assert delivery == {
        "deliveryId": str(delivery_id),
        "eventId": str(event_id),
        "eventType": CONFIRMED,
        "orderId": str(order_id),
        "status": "PENDING",
        "attempts": 2,
        "lastStatus": 500,
        "lastError": "HTTP_STATUS",
        "deliveredAt": None,
    }
    assert answer.json["nextCursor"] is None


def test_an_error_of_an_earlier_release_does_not_tell_what_is_inside_either(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    add_delivery(database, webhook_id, order_id, last_error="FORBIDDEN_ADDRESS")

    (delivery,) = alice.get(f"{PATH}/{webhook_id}/deliveries").json["items"]

    assert delivery["lastError"] == "HOST_NOT_FOUND"


def test_a_webhook_without_deliveries_has_an_empty_page(alice: Client, webhook_id: UUID) -> None:
    assert alice.get(f"{PATH}/{webhook_id}/deliveries").json == {"items": [], "nextCursor": None}


@pytest.mark.parametrize(("number", "pages"), [(4, [2, 2]), (5, [2, 2, 1])])
def test_pages_follow_each_other_newest_first_without_gap_or_overlap(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID, number: int, pages: list[int]
) -> None:
    ids = [str(add_delivery(database, webhook_id, order_id)) for _ in range(number)]
    add_delivery(database, add_endpoint(database, slot=2), order_id)

    seen: list[list[str]] = []
    cursor = ""
    while True:
        page = alice.get(f"{PATH}/{webhook_id}/deliveries?limit=2{cursor}").json
        seen.append([delivery["deliveryId"] for delivery in page["items"]])
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
        # What comes meanwhile belongs before the first page, and shifts nothing.
        add_delivery(database, webhook_id, order_id)

    assert [len(page) for page in seen] == pages
    assert [delivery_id for page in seen for delivery_id in page] == ids[::-1]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=MSBh"])
def test_a_page_that_there_cannot_be_is_refused(alice: Client, webhook_id: UUID, query: str) -> None:
    answer = alice.get(f"{PATH}/{webhook_id}/deliveries?{query}")

    assert (answer.status, answer.pointers) == (422, [f"#/query/{query.partition('=')[0]}"])


def test_a_cursor_is_good_for_its_own_webhook_only(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    for _ in range(2):
        add_delivery(database, webhook_id, order_id)
    cursor = alice.get(f"{PATH}/{webhook_id}/deliveries?limit=1").json["nextCursor"]
    other = add_endpoint(database, slot=2)

    assert alice.get(f"{PATH}/{other}/deliveries?cursor={cursor}").status == 422


def scheduled(database: Database) -> list[dict[str, Any]]:
    """The attempts in the outbox that are due."""
    return [
        row["data"]
        for row in rows(
            database,
            "SELECT data FROM outbox WHERE type = 'com.orders.webhook.attempt_scheduled.v1' "
            "AND available_at <= now() ORDER BY id",
        )
    ]


@pytest.mark.parametrize("status", ["DELIVERED", "FAILED"])
def test_what_has_ended_is_sent_again_with_a_new_round_of_attempts(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID, status: str
) -> None:
    delivery_id = add_delivery(database, webhook_id, order_id, status=status, attempts=9)
    execute(database, "UPDATE webhook_deliveries SET started_at = now() - interval '1 day'")

    answer = alice.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver", "")

    assert answer.status == 202
    assert (answer.json["deliveryId"], answer.json["status"]) == (str(delivery_id), "PENDING")
    assert scheduled(database) == [{"deliveryId": str(delivery_id), "attempt": 10, "postponed": 0}]
    (row,) = rows(database, "SELECT first_attempt, now() - started_at AS age FROM webhook_deliveries")
    assert row["first_attempt"] == 10
    assert row["age"] < timedelta(minutes=1)


def test_what_is_still_being_tried_has_its_next_attempt_brought_forward(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    delivery_id = add_delivery(database, webhook_id, order_id, attempts=3)

    assert alice.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver", "").status == 202

    assert scheduled(database) == [{"deliveryId": str(delivery_id), "attempt": 4, "postponed": 0}]
    assert rows(database, "SELECT first_attempt FROM webhook_deliveries") == [{"first_attempt": 1}]


def test_nothing_is_sent_again_to_a_disabled_webhook(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    delivery_id = add_delivery(database, webhook_id, order_id, status="FAILED")
    execute(database, "UPDATE webhook_endpoints SET status = 'DISABLED'")

    answer = alice.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver", "")

    assert answer.status == 409
    assert answer.json["type"].endswith("/webhook-disabled")
    assert scheduled(database) == []


def test_a_delivery_of_another_webhook_is_unknown(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    bobs = add_delivery(database, add_endpoint(database, user_id=BOB), order_id)
    own = add_delivery(database, add_endpoint(database, slot=2), order_id)

    for delivery_id in (bobs, own, uuid4(), "x"):
        answer = alice.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver", "")
        assert answer.status == 404
        assert answer.json["type"].endswith("/delivery-not-found")
    assert scheduled(database) == []


def test_a_user_has_only_so_many_sent_again_in_an_hour_of_all_their_webhooks(
    alice: Client, bob: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    other_id = add_endpoint(database, slot=2)
    deliveries = [
        (hook, add_delivery(database, hook, order_id, status="FAILED")) for hook in (webhook_id, other_id)
    ]
    answers = [
        alice.post(f"{PATH}/{hook}/deliveries/{delivery_id}/redeliver", "")
        for hook, delivery_id in deliveries * 3
    ]
    assert [answer.status for answer in answers] == [202] * 3 + [429] * 3
    assert answers[3].json["type"].endswith("/too-many-redeliveries")
    assert 0 < int(answers[3].headers["retry-after"]) <= 1200
    assert len(scheduled(database)) == 3

    bobs = add_endpoint(database, user_id=BOB)
    delivery_id = add_delivery(database, bobs, order_id, status="FAILED")
    assert bob.post(f"{PATH}/{bobs}/deliveries/{delivery_id}/redeliver", "").status == 202


def test_what_is_not_there_to_be_sent_again_counts_for_nothing(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    for _ in range(5):
        assert alice.post(f"{PATH}/{webhook_id}/deliveries/{uuid4()}/redeliver", "").status == 404
    delivery_id = add_delivery(database, webhook_id, order_id, status="FAILED")
    assert alice.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver", "").status == 202


def test_a_deleted_webhook_takes_the_record_of_its_deliveries_with_it(
    alice: Client, database: Database, webhook_id: UUID, order_id: UUID
) -> None:
    add_delivery(database, webhook_id, order_id)

    assert alice.delete(f"{PATH}/{webhook_id}").status == 204

    assert rows(database, "SELECT id FROM webhook_deliveries") == []
