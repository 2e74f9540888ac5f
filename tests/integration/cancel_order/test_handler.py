"""POST /orders/{orderId}/cancellation, and what GET /orders/{orderId} says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.cancel_order import handler
from functions.read_orders import handler as reads
from orders.db import Database
from orders.ids import uuid7
from tests.integration.cancel_order.cancelling import operator_actions_of
from tests.integration.saga.pipeline import Order, Pipeline
from tests.support.api import Answer, Client
from tests.support.factories import BOB


@pytest.fixture
def alice(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The customer whose orders they are."""
    for module in (handler, reads):
        monkeypatch.setattr(module, "database", pipeline.database)
    return Client(handler.handler)


def post(client: Client, order: Order, why: Any = None) -> Answer:
    path = f"/api/v1/orders/{order.order_id}/cancellation"
    return client.call("POST", path) if why is None else client.post(path, why)


def shown(order: Order) -> Any:
    return Client(reads.handler).get(f"/api/v1/orders/{order.order_id}").json["cancellation"]


def pass_hours(order: Order) -> None:
    order.pipeline.execute(
        "UPDATE orders SET updated_at = updated_at - interval '2 hours' WHERE id = :id", id=order.order_id
    )


def test_an_order_on_its_way_is_cancelled(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order()
    assert shown(order) == {
        "possible": True,
        "possibleUntil": None,
        "requestedAt": None,
        "outcome": None,
        "refundId": None,
    }

    answer = post(alice, order)

    assert answer.status == 202
    assert answer.headers["location"] == f"/api/v1/orders/{order.order_id}/status"
    body = answer.json
    requested_at = datetime.fromisoformat(body["requestedAt"])
    assert abs(requested_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert body == {
        "orderId": str(order.order_id),
        "status": "PENDING",
        "outcome": "CANCELLING",
        "refundId": None,
        "requestedAt": body["requestedAt"],
    }
    assert shown(order) == {
        "possible": False,
        "possibleUntil": None,
        "requestedAt": body["requestedAt"],
        "outcome": "CANCELLING",
        "refundId": None,
    }
    assert post(alice, order).json == body


def test_a_confirmed_order_is_refunded(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    before = shown(order)
    until = datetime.fromisoformat(before["possibleUntil"])
    assert before["possible"]
    assert timedelta(minutes=29) < until - datetime.now(UTC) < timedelta(minutes=31)

    body = post(alice, order).json

    assert (body["status"], body["outcome"]) == ("CONFIRMED", "REFUNDING")
    assert body["refundId"]
    after = shown(order)
    assert after == before | {
        "possible": False,
        "requestedAt": body["requestedAt"],
        "outcome": "REFUNDING",
        "refundId": body["refundId"],
    }


def test_who_comes_too_late_reads_until_when_it_was_possible(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order()
    order.run()
    pass_hours(order)

    answer = post(alice, order)

    assert answer.status == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["type"].endswith("/cancellation-closed")
    assert shown(order) == {
        "possible": False,
        "possibleUntil": problem["possibleUntil"],
        "requestedAt": None,
        "outcome": None,
        "refundId": None,
    }
    assert datetime.fromisoformat(problem["possibleUntil"]) < datetime.now(UTC)
    assert problem["possibleUntil"][:19] in problem["detail"]


def test_an_order_that_failed_says_so_and_has_no_end_to_wait_for(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order(payment_method="pm_card_declined")
    order.run()

    answer = post(alice, order)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "order-already-cancelled")
    assert "possibleUntil" not in answer.json
    assert not shown(order)["possible"]


def test_another_users_order_is_none(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order()
    bob = Client(alice.handler, user_id=BOB)

    answers = [
        post(bob, order),
        bob.call("POST", f"/api/v1/orders/{uuid7()}/cancellation"),
        bob.call("POST", "/api/v1/orders/no-id/cancellation"),
    ]

    assert [(answer.status, answer.json["type"]) for answer in answers] == [
        (404, "https://orders.example/problems/order-not-found")
    ] * 3
    assert len({answer.json["detail"] for answer in answers}) == 1
    assert shown(order)["requestedAt"] is None


@pytest.mark.parametrize("groups", ["[admin]", "[support admin]"])
def test_an_administrator_cancels_any_order(alice: Client, pipeline: Pipeline, groups: str) -> None:
    order = pipeline.order()

    answer = post(Client(alice.handler, user_id=BOB, groups=groups), order)

    assert (answer.status, answer.json["outcome"]) == (202, "CANCELLING")


def test_an_administrator_says_why(alice: Client, pipeline: Pipeline) -> None:
    order = pipeline.order()
    administrator = Client(alice.handler, user_id=BOB, groups="[admin]")
    assert post(administrator, order, {"note": "two\nlines"}).status == 422
    assert shown(order)["requestedAt"] is None

    assert post(administrator, order, {"note": "asked on the telephone"}).status == 202

    (action,) = operator_actions_of(order)
    assert (action["operator"], action["note"]) == (BOB, "asked on the telephone")


@pytest.mark.parametrize("groups", ["[support]", "[administrators]", "admin"])
def test_nobody_else_does(alice: Client, pipeline: Pipeline, groups: str) -> None:
    assert post(Client(alice.handler, user_id=BOB, groups=groups), pipeline.order()).status == 404


def test_the_window_is_the_stages(
    alice: Client, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    longer = handler.settings.model_copy(update={"cancellation_window_minutes": 180})
    monkeypatch.setattr(handler, "settings", longer)
    order = pipeline.order()
    order.run()
    pass_hours(order)

    assert post(alice, order).status == 202
