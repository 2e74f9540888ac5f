"""Operators on the deployed cloud, by its API and by the command line (promise I12)."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from orders.domain import Notification
from orders.events import CloudEvent
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Answer, Caller, await_end, tokens
from tests.e2e.test_poison import impatient_queue  # noqa: F401
from tests.support.consumers import notification_requested
from tools.audit.database import Scope, check_database
from tools.cloud import aws
from tools.cloud.catalogue import PRODUCTS
from tools.cloud.settings import ROOT

HEADPHONES = next(product for product in PRODUCTS if product.name == "Headphones")
PATIENCE_SECONDS = 60

Commands = Callable[..., str]


@pytest.fixture(scope="module")
def admin(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "admin")["AccessToken"])


@pytest.fixture(scope="module")
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


@pytest.fixture(scope="module")
def orders(running_cloud: Cloud) -> Commands:
    """The `orders` command line, which must succeed; answers what it prints."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(ROOT / "bin" / "orders"), *arguments],
            env={**running_cloud.environment, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def found(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return answer.body


def await_message(admin: Caller, queue: str, message_id: str) -> dict[str, Any]:
    """The dead letter, once it is one."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for message in found(admin.get(f"/admin/dlqs/{queue}/messages"))["items"]:
            if message_id in (message["messageId"], message["originalMessageId"]):
                explained: dict[str, Any] = message
                return explained
        time.sleep(0.5)
    pytest.fail(f"{message_id} was not given up")


def test_a_poison_message_is_explained_and_discarded(
    running_cloud: Cloud,
    impatient_queue: str,  # noqa: F811
    admin: Caller,
    orders: Commands,
) -> None:
    sqs = aws.queues(running_cloud.settings)
    poison = sqs.send_message(QueueUrl=impatient_queue, MessageBody=f"poison {uuid4()}")["MessageId"]

    message = await_message(admin, "order-processing", poison)

    assert message["cause"] == "NOT_AN_EVENT"
    assert (message["deliveries"], message["originalMessageId"]) == (1, poison), "given up at the first look"
    poison = message["messageId"]
    shown = orders("dlq", "show", "order-processing")
    assert poison in shown
    assert "body: json_invalid" in shown
    orders("dlq", "discard", "order-processing", poison, "--note", "sent by a test")
    assert poison not in orders("dlq", "show", "order-processing")
    with running_cloud.engine.connect() as connection:
        recorded = connection.execute(
            text("SELECT action, note FROM operator_actions WHERE target = :target"),
            {"target": f"order-processing/{poison}"},
        ).one()
    assert tuple(recorded) == ("MESSAGE_DISCARDED", "sent by a test")


def test_a_dead_letter_is_redriven_and_takes_effect(
    running_cloud: Cloud, admin: Caller, customer: Caller, orders: Commands
) -> None:
    event, message_id = dead_letter(running_cloud, customer)
    explained = await_message(admin, "notification-sending", message_id)
    assert (explained["cause"], explained["orderId"]) == ("CONSUMER_FAILED", str(event.subject))

    assert "1 sent back" in orders("dlq", "redrive", "notification-sending", message_id)

    await_effect(running_cloud, event)


def test_a_whole_queue_is_redriven_by_sqs_and_takes_effect(
    running_cloud: Cloud, customer: Caller, orders: Commands
) -> None:
    events = [dead_letter(running_cloud, customer)[0] for _ in range(3)]

    assert "SQS moves them" in orders("dlq", "redrive", "notification-sending", "--all")

    for event in events:
        await_effect(running_cloud, event)
    assert "Nothing was given up here" in orders("dlq", "show", "notification-sending")


def dead_letter(cloud: Cloud, customer: Caller) -> tuple[CloudEvent, str]:
    """An event about a confirmed order in the dead-letter queue, and its message's id."""
    placed = customer.post(ORDER)
    assert await_end(customer, placed.body["orderId"])["status"] == "CONFIRMED"
    event = notification_requested(UUID(placed.body["orderId"]), Notification.ORDER_CONFIRMED)
    publish(cloud, event)
    queue = cloud.stack["queues"]["notification-sending"]
    sent = aws.queues(cloud.settings).send_message(
        QueueUrl=queue["dlq_url"], MessageBody=event.model_dump_json()
    )
    return event, sent["MessageId"]


def await_effect(cloud: Cloud, event: CloudEvent) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_processed(cloud, event.id):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # No saga has written it, so nobody is to find it in the books.
    with cloud.engine.begin() as connection:
        for statement in ("DELETE FROM inbox WHERE event_id = :id", "DELETE FROM outbox WHERE id = :id"):
            connection.execute(text(statement), {"id": event.id})


def publish(cloud: Cloud, event: CloudEvent) -> None:
    """Puts the event into the outbox, as published: a consumer believes no message without its row."""
    with cloud.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, published_at) "
                "VALUES (:id, :type, :subject, CAST(:data AS jsonb), :correlation, :trace, 'PUBLISHED', now())"
            ),
            {
                "id": event.id,
                "type": event.type,
                "subject": event.subject,
                "data": json.dumps(event.data),
                "correlation": event.correlationid,
                "trace": event.traceparent,
            },
        )


def is_processed(cloud: Cloud, event_id: UUID) -> bool:
    with cloud.engine.connect() as connection:
        statement = text("SELECT event_id FROM inbox WHERE event_id = :id")
        return connection.execute(statement, {"id": event_id}).first() is not None


@contextmanager
def stock_that_does_not_come_back(cloud: Cloud) -> Iterator[None]:
    """A database that ignores every release of one product's reservations, as a hand in it could make it do."""
    with cloud.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION keep_reserved() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            )
        )
        connection.execute(
            text(
                "CREATE TRIGGER keep_reserved BEFORE UPDATE ON reservations FOR EACH ROW "
                f"WHEN (NEW.status = 'RELEASED' AND OLD.product_id = '{HEADPHONES.id}') "
                "EXECUTE FUNCTION keep_reserved()"
            )
        )
    try:
        yield
    finally:
        with cloud.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION keep_reserved CASCADE"))


def test_an_order_that_could_not_be_undone_is_reviewed_and_resumed_to_its_end(
    running_cloud: Cloud, admin: Caller, customer: Caller, orders: Commands
) -> None:
    lines = [{"productId": str(HEADPHONES.id), "quantity": 2}]
    with stock_that_does_not_come_back(running_cloud):
        placed = customer.post({**ORDER, "items": lines, "paymentMethod": "pm_card_declined"})
        order_id = placed.body["orderId"]
        assert await_end(customer, order_id)["status"] == "NEEDS_REVIEW"

    listed = found(admin.get("/admin/orders?status=NEEDS_REVIEW"))["items"]
    assert order_id in {order["orderId"] for order in listed}
    assert order_id in orders("review", "list")
    report = await_rest(admin, order_id)
    assert report["execution"] == {**report["execution"], "name": f"order-{order_id}", "status": "SUCCEEDED"}
    assert report["actions"] == ["resume"]
    assert [reservation["status"] for reservation in report["order"]["reservations"]] == ["ACTIVE"]
    assert report["gateway"] == {"status": "DECLINED"}
    assert "May be done now: resume" in orders("review", "show", order_id, "--history")

    assert f"order-{order_id}-r1 has started" in orders("review", "resume", order_id, "-n", "seen to")

    assert await_cancelled(customer, order_id)["failureReason"] == "PAYMENT_DECLINED"
    newest, first = found(admin.get(f"/admin/sagas/{order_id}"))["items"]
    assert [visit["state"] for visit in newest["states"]] == [
        "VerifyStock",
        "RestoreInventory",
        "RefundPayment",
        "ReleaseReservation",
        "SendCancellation",
        "MarkCancelled",
    ]
    assert newest["states"][0]["errors"] == ["StepFenced"]
    assert ("ProcessPayment", ["PaymentDeclined"]) in [
        (visit["state"], visit["errors"]) for visit in first["states"]
    ]
    verdicts = check_database(running_cloud.engine, Scope.of([UUID(order_id)]))
    assert {verdict.promise: verdict.violations for verdict in verdicts if verdict.violations} == {}


def await_rest(admin: Caller, order_id: str) -> Any:
    """The report, once the order's execution has ended: a moment after the order."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        report = found(admin.get(f"/admin/orders/{order_id}"))
        if report["execution"]["status"] != "RUNNING":
            return report
        assert time.monotonic() < deadline
        time.sleep(0.1)


def await_cancelled(customer: Caller, order_id: str) -> dict[str, Any]:
    status = await_end(customer, order_id)
    assert status["status"] == "CANCELLED"
    return status


def test_the_detailed_health_tells_of_the_deployed_system(admin: Caller, orders: Commands) -> None:
    health = found(admin.get("/health/detailed"))

    assert {health[part]["status"] for part in ("database", "memory", "disk")} == {"up"}
    assert health["memory"]["limitMb"] == 512
    assert "paymentGateway" in orders("health")


@pytest.mark.parametrize("path", ["/admin/queues", "/admin/orders", "/health/detailed"])
def test_customers_are_no_operators(customer: Caller, path: str) -> None:
    answer = customer.get(path)

    assert (answer.status, answer.body["type"].rpartition("/")[2]) == (403, "administrators-only")


def test_the_log_lines_of_an_order_are_found_in_all_functions_and_are_its_own(
    admin: Caller, customer: Caller, orders: Commands
) -> None:
    placed, other = (customer.post(ORDER) for _ in range(2))
    order_id, another = placed.body["orderId"], other.body["orderId"]
    for each in (order_id, another):
        assert await_end(customer, each)["status"] == "CONFIRMED"

    deadline = time.monotonic() + PATIENCE_SECONDS
    wanted = {"create-order", "start-saga", "process-payment", "complete-order", "notify"}
    while True:
        logs = found(admin.get(f"/admin/orders/{order_id}/logs?limit=500"))
        if wanted <= {line["function"] for line in logs["items"]}:
            break
        assert time.monotonic() < deadline, logs
        time.sleep(0.5)

    assert logs["isComplete"]
    assert [line["time"] for line in logs["items"]] == sorted(line["time"] for line in logs["items"])
    assert another not in json.dumps(logs)
    assert "ada@example.com" not in json.dumps(logs)
    first = found(admin.get(f"/admin/orders/{order_id}/logs?limit=3"))
    cursor = first["nextCursor"]
    second = found(admin.get(f"/admin/orders/{order_id}/logs?limit=3&cursor={cursor}"))
    assert first["items"] + second["items"] == logs["items"][:6]
    shown = orders("logs", order_id, "--follow")
    assert all(function in shown for function in wanted)


def test_a_mail_is_sent_again_by_the_command_line(
    running_cloud: Cloud, customer: Caller, orders: Commands
) -> None:
    # Of its own, so that no other test has used up what it may get in an hour.
    contact = {"email": f"{uuid4()}@example.com", "locale": "en"}
    order_id = customer.post({**ORDER, "contact": contact}).body["orderId"]
    assert await_end(customer, order_id)["status"] == "CONFIRMED"

    def mail() -> dict[str, Any]:
        with running_cloud.engine.connect() as connection:
            row = connection.execute(
                text("SELECT id, status FROM notifications WHERE order_id = :id AND channel = 'email'"),
                {"id": order_id},
            ).one()
        return dict(row._mapping)

    def await_sent(before: object = None) -> object:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (mail()["status"] == "SENT" and mail()["id"] != before):
            assert time.monotonic() < deadline, mail()
            time.sleep(0.2)
        return mail()["id"]

    first = await_sent()
    assert "QUEUED again" in orders("resend", order_id, "order_confirmed", "-n", "lost by a test")
    await_sent(first)
    assert "NOTIFICATION_RESENT" in orders("review", "show", order_id)
    listed = json.loads(orders("payments", "--status", "CAPTURED", "--json"))
    assert order_id in {payment["orderId"] for payment in listed["items"]}
