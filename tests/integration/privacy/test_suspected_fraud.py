"""A customer whose payment looks like fraud reads what a customer with a declined card reads; operators read why."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from functions.deliver_webhooks.webhook_request import body_of
from functions.notify import limits
from functions.notify.notification_rows import NotificationToSend
from functions.notify.rendering import render
from functions.operations.orders.records import read_records
from functions.read_orders import handler
from orders.db import Database
from orders.domain import Channel, FailureReason, Notification
from orders.events import OrderCancelled
from orders.ids import uuid7
from tests.integration.notify.fake_sender import permission
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import Pipeline
from tests.support.api import Client
from tests.support.consumers import cloud_event
from tests.support.factories import ALICE, EMAIL
from tests.support.webhooks import add_endpoint
from tools.audit.executions import Visit
from tools.cli.order_view import history_of

SUSPICION = ("fraud", "suspect")

READS: dict[str, Callable[[Client, UUID], Any]] = {
    "the order": lambda alice, order_id: alice.get(f"/api/v1/orders/{order_id}").json,
    "its status": lambda alice, order_id: alice.get(f"/api/v1/orders/{order_id}/status").json,
    "its notifications": lambda alice, order_id: alice.get(f"/api/v1/orders/{order_id}/notifications").json,
    "the list": lambda alice, order_id: next(
        item for item in alice.get("/api/v1/orders").json["items"] if item["orderId"] == str(order_id)
    ),
}


@pytest.fixture
def alice(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Client:  # noqa: F811
    monkeypatch.setattr(handler, "database", pipeline.database)
    return Client(handler.handler)


@pytest.fixture
def announced(pipeline: Pipeline) -> Iterator[None]:  # noqa: F811
    add_endpoint(pipeline.database)
    yield
    pipeline.execute("DELETE FROM webhook_endpoints")


def suspected(pipeline: Pipeline) -> UUID:  # noqa: F811
    return cancelled(pipeline, "pm_card_fraud")


def cancelled(pipeline: Pipeline, payment_method: str) -> UUID:  # noqa: F811
    order = pipeline.order(payment_method)
    order.run()
    assert order.ending().status == "CANCELLED"
    return order.order_id


def without_ids_and_times(read: Any) -> Any:
    """What tells two orders of one kind apart."""
    match read:
        case dict():
            hidden = (
                "orderId",
                "productId",
                "at",
                "createdAt",
                "updatedAt",
                "queuedAt",
                "id",
                "subject",
                "time",
            )
            return {name: without_ids_and_times(value) for name, value in read.items() if name not in hidden}
        case list():
            return [without_ids_and_times(item) for item in read]
    return read


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_the_api_says_of_suspected_fraud_what_it_says_of_a_declined_card(
    pipeline: Pipeline,  # noqa: F811
    alice: Client,
    read: Callable[[Client, UUID], Any],
) -> None:
    told = read(alice, suspected(pipeline))

    assert not any(word in json.dumps(told).lower() for word in SUSPICION)
    assert without_ids_and_times(told) == without_ids_and_times(
        read(alice, cancelled(pipeline, "pm_card_declined"))
    )


def test_the_owner_s_webhook_says_the_same_too(pipeline: Pipeline, announced: None) -> None:  # noqa: F811
    bodies = []
    for order_id in (suspected(pipeline), cancelled(pipeline, "pm_card_declined")):
        (event,) = pipeline.rows(
            "SELECT data FROM outbox WHERE subject = :id AND type = 'com.orders.order.cancelled.v1'",
            id=order_id,
        )
        ended = OrderCancelled.model_validate(event["data"])
        bodies.append(json.loads(body_of(cloud_event(order_id, ended), ended)))

    assert bodies[0]["data"]["failureReason"] == "PAYMENT_DECLINED"
    assert without_ids_and_times(bodies[0]) == without_ids_and_times(bodies[1])


@pytest.mark.parametrize("channel", Channel)
def test_no_message_names_the_suspicion(pipeline: Pipeline, channel: Channel) -> None:  # noqa: F811
    order_id = suspected(pipeline)
    notification = Notification.for_cancellation(FailureReason.FRAUD_SUSPECTED)
    delivery = NotificationToSend(uuid7(), uuid7(), order_id, notification, channel)

    pipeline.database.transact(lambda connection: limits.remember(connection, ALICE, EMAIL))
    _, order = pipeline.database.transact(lambda connection: delivery.claim(connection, permission().limits))
    message = render(notification, channel, order)

    assert notification is Notification.for_cancellation(FailureReason.PAYMENT_DECLINED)
    assert not any(word in f"{message.subject} {message.text} {message.html}".lower() for word in SUSPICION)


def test_the_customers_view_of_an_execution_does_not_name_it() -> None:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(history_of([Visit("ProcessPayment", ("PaymentGatewayUnavailable", "FraudSuspected"))]))

    assert "PaymentGatewayUnavailable, PaymentDeclined" in captured.get()


def test_no_schema_of_a_customer_s_response_knows_the_word() -> None:
    document = handler.api.get_openapi_json_schema()

    assert not any(word in document.lower() for word in SUSPICION)


def test_operators_read_why(pipeline: Pipeline) -> None:  # noqa: F811
    database: Database = pipeline.database

    assert read_records(database, suspected(pipeline)).failure_reason is FailureReason.FRAUD_SUSPECTED
