"""What a consumer does follows from the database, never from a message's claims (promise I14)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from orders.db import Database
from orders.domain import Channel, FailureReason, Notification, OrderStatus
from orders.events import (
    CATALOGUE,
    CloudEvent,
    ConfirmationCodeRequested,
    EventData,
    InventoryReserved,
    NotificationRequested,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    OrderRefunded,
    OrderReviewRequired,
    PaymentCaptured,
    PaymentRefunded,
    Queue,
    RefundRequested,
    WebhookAttemptScheduled,
)
from orders.ids import uuid7
from orders.messages import DELIVERIES, ORIGINAL_ID, ORIGINAL_TIME, Cause
from orders.observability import MAX_LINE
from tests.integration.consumers.conftest import Consumers
from tests.support.consumers import cloud_event, event_ids, published
from tests.support.factories import EMAIL, TRACE, TRACE_ID, execute, rows
from tests.support.written import Written, recorded

ENDED: dict[str, Any] = {
    "failure_reason": None,
    "total_amount": 2500,
    "currency": "USD",
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
}
GENUINE: dict[str, EventData] = {
    data.type: data
    for data in (
        OrderCreated(total_amount=2500, currency="USD"),
        NotificationRequested(notification=Notification.ORDER_CONFIRMED),
        ConfirmationCodeRequested(version=1),
        PaymentCaptured(amount=2500, currency="USD"),
        PaymentRefunded(amount=2500, currency="USD"),
        InventoryReserved(ttl_seconds=900),
        OrderConfirmed(**ENDED),
        OrderCancelled(**{**ENDED, "failure_reason": FailureReason.INSUFFICIENT_STOCK}),
        OrderReviewRequired(**ENDED),
        RefundRequested(refund_id=uuid7()),
        OrderRefunded(
            refund_id=uuid7(),
            amount=2500,
            refunded_amount=2500,
            total_amount=2500,
            currency="USD",
            created_at=ENDED["created_at"],
        ),
        WebhookAttemptScheduled(delivery_id=uuid7(), attempt=1),
    )
}
"""One of each type, as our code writes it."""
FORGED_DATA: dict[str, dict[str, Any]] = {
    OrderCreated.type: {"totalAmount": 1},
    NotificationRequested.type: {"notification": "order_cancelled"},
    ConfirmationCodeRequested.type: {"version": 2},
    PaymentCaptured.type: {"amount": 1},
    PaymentRefunded.type: {"amount": 1},
    InventoryReserved.type: {"ttlSeconds": 1},
    OrderConfirmed.type: {"totalAmount": 1},
    OrderCancelled.type: {"failureReason": "FRAUD_SUSPECTED"},
    OrderReviewRequired.type: {"createdAt": "2020-01-01T00:00:00Z"},
    RefundRequested.type: {"refundId": str(uuid7())},
    OrderRefunded.type: {"amount": 1},
    WebhookAttemptScheduled.type: {"attempt": 2},
}
FITTING = {
    OrderConfirmed.type: "CONFIRMED",
    OrderCancelled.type: "CANCELLED",
    OrderRefunded.type: "CONFIRMED",
}


def test_every_type_of_event_is_forged_here() -> None:
    assert GENUINE.keys() == FORGED_DATA.keys() == CATALOGUE.keys()


def forgeries(event: CloudEvent, victim: UUID) -> Iterator[tuple[str, CloudEvent]]:
    """What can be made of a genuine event, with the cause by which it is given up."""
    yield "UNKNOWN_EVENT", cloud_event(victim, GENUINE[event.type])
    yield "UNKNOWN_EVENT", cloud_event(uuid4(), GENUINE[event.type])
    yield "ALTERED_EVENT", event.model_copy(update={"subject": victim})
    yield "ALTERED_EVENT", event.model_copy(update={"data": {**event.data, **FORGED_DATA[event.type]}})
    for other in CATALOGUE.values():
        if other.queue is CATALOGUE[event.type].queue and other.type != event.type:
            data = GENUINE[other.type].model_dump(mode="json", by_alias=True)
            yield "ALTERED_EVENT", event.model_copy(update={"type": other.type, "data": data})


@pytest.mark.parametrize("type_", sorted(GENUINE))
def test_a_forged_message_changes_nothing_and_tells_nobody_anything(consumers: Consumers, type_: str) -> None:
    consumers.add_webhook()
    queue = CATALOGUE[type_].queue
    event = consumers.written(consumers.order(FITTING.get(type_, "PROCESSING")), GENUINE[type_])
    for status in OrderStatus:
        victim = consumers.order(status)
        before = consumers.everything()
        for cause, forged in forgeries(event, victim):
            body = forged.model_dump_json()
            with recorded() as written:
                assert consumers.deliver(queue, body) == []
            assert consumers.dead_letters.bodies[-1] == body
            (line,) = written.logs("Message refused, it goes to the dead-letter queue")
            assert line["cause"] == cause
            assert consumers.everything() == before, (type_, status, cause)


@pytest.mark.parametrize("type_", sorted(GENUINE))
def test_a_replayed_message_takes_no_second_effect(consumers: Consumers, type_: str) -> None:
    consumers.add_webhook()
    event = consumers.written(consumers.order(FITTING.get(type_, "PROCESSING")), GENUINE[type_])
    queue, body = CATALOGUE[type_].queue, event.model_dump_json()
    assert consumers.deliver(queue, body) == []
    before = consumers.everything()

    assert consumers.deliver(queue, body, body) == []

    assert consumers.everything() == before
    assert consumers.dead_letters.letters == []


@pytest.mark.parametrize("type_", sorted(GENUINE))
def test_an_order_that_does_not_exist_costs_one_look(consumers: Consumers, type_: str) -> None:
    before = consumers.everything()
    body = cloud_event(uuid4(), GENUINE[type_]).model_dump_json()

    assert consumers.deliver(CATALOGUE[type_].queue, body) == [], "nothing goes back to be delivered again"

    assert consumers.everything() == before
    assert consumers.dead_letters.bodies == [body]


def test_a_webhook_says_what_was_written_and_not_what_the_message_says(consumers: Consumers) -> None:
    consumers.add_webhook()
    event = consumers.written(consumers.order("CONFIRMED"), GENUINE[OrderConfirmed.type])
    claims = event.model_copy(
        update={
            "time": datetime(2001, 1, 1, tzinfo=UTC),
            "correlationid": "forged-forged",
            "traceparent": "x" * 90,
        }
    )

    with recorded() as written:
        assert consumers.deliver(Queue.WEBHOOK_DELIVERY, claims.model_dump_json()) == []

    (delivery,) = rows(consumers.database, "SELECT body FROM webhook_deliveries")
    assert json.loads(delivery["body"])["time"] == "2026-01-01T00:00:00Z"
    (attempt,) = rows(
        consumers.database,
        "SELECT correlation_id, traceparent FROM outbox WHERE type = :type",
        type=WebhookAttemptScheduled.type,
    )
    assert attempt == {"correlation_id": TRACE.correlation_id, "traceparent": TRACE.traceparent}
    assert "forged" not in written.text


def test_an_execution_gets_the_orders_trace_and_not_the_messages(consumers: Consumers) -> None:
    event = consumers.written(consumers.order("PENDING"), GENUINE[OrderCreated.type])
    claims = event.model_copy(update={"correlationid": "x" * 200_000, "traceparent": "y"})

    assert consumers.deliver(Queue.ORDER_PROCESSING, claims.model_dump_json()) == []

    (given,) = consumers.step_functions.executions.values()
    assert given["correlationId"] == TRACE.correlation_id
    assert given["traceparent"] == TRACE.traceparent


FORGED_TRACE = "Root=1-ffffffff-ffffffffffffffffffffffff;Parent=ffffffffffffffff;Sampled=1"


def lines_of(written: Written) -> list[dict[str, Any]]:
    """The log lines about an event that was found."""
    lines = [json.loads(line) for line in written.text.splitlines()]
    return [line for line in lines if "correlation_id" in line]


@pytest.mark.parametrize(
    "type_",
    [
        OrderCreated.type,
        PaymentCaptured.type,
        InventoryReserved.type,
        NotificationRequested.type,
        OrderConfirmed.type,
    ],
)
def test_the_log_lines_of_a_message_carry_its_orders_trace_and_not_the_messages(
    consumers: Consumers, type_: str
) -> None:
    event = consumers.written(consumers.order(FITTING.get(type_, "PROCESSING")), GENUINE[type_])
    # Then each of them fails, and says so; starting a saga needs none.
    execute(consumers.database, "DROP TABLE inbox, notifications")
    claims = event.model_copy(update={"traceparent": "y"}).model_dump_json()

    with recorded() as written:
        consumers.deliver(CATALOGUE[type_].queue, claims, tracing_header=FORGED_TRACE)

    assert {line["trace_id"] for line in lines_of(written)} == {TRACE_ID}


def test_each_message_of_a_batch_is_logged_under_its_own_trace(consumers: Consumers) -> None:
    first, second = (
        cloud_event(consumers.order("PENDING"), GENUINE[OrderCreated.type]).model_copy(
            update={"traceparent": f"00-{digit * 32}-b7ad6b7169203331-01"}
        )
        for digit in "12"
    )
    published(consumers.database, first.model_dump_json(), second.model_dump_json())

    with recorded() as written:
        consumers.deliver(Queue.ORDER_PROCESSING, first.model_dump_json(), "poison", second.model_dump_json())

    assert [(line["order_id"], line["trace_id"]) for line in written.logs("Execution started")] == [
        (str(event.subject), f"1-{digit * 8}-{digit * 24}") for event, digit in ((first, "1"), (second, "2"))
    ]
    (refused,) = written.logs("Message refused, it goes to the dead-letter queue")
    assert "trace_id" not in refused


def test_poison_keeps_the_trace_that_it_claims_also_among_the_dead_letters(consumers: Consumers) -> None:
    with recorded() as written:
        consumers.deliver(Queue.ORDER_PROCESSING, "poison", tracing_header=f"{FORGED_TRACE};Lineage=1:a:0")
        consumers.deliver(Queue.ORDER_PROCESSING, "poison", tracing_header=FORGED_TRACE.replace(";", "\n;"))

    kept, malformed = (letter["MessageSystemAttributes"] for letter in consumers.dead_letters.letters)
    assert kept == {"AWSTraceHeader": {"DataType": "String", "StringValue": FORGED_TRACE}}
    assert malformed == {}
    lines = written.logs("Message refused, it goes to the dead-letter queue")
    assert [line.get("trace_id") for line in lines] == ["1-ffffffff-ffffffffffffffffffffffff", None]


@pytest.mark.parametrize("field", ["attempt", "postponed"])
@pytest.mark.parametrize("number", [2**31, 2**63, 10**400, -1, 1.5, "1e9"])
def test_a_number_out_of_bounds_is_poison(consumers: Consumers, field: str, number: Any) -> None:
    event = consumers.written(consumers.order("CONFIRMED"), GENUINE[WebhookAttemptScheduled.type])
    body = event.model_dump(mode="json")
    body["data"][field] = number

    with recorded() as written:
        assert consumers.deliver(Queue.WEBHOOK_DELIVERY, json.dumps(body)) == []

    (line,) = written.logs("Message refused, it goes to the dead-letter queue")
    assert line["cause"] in (Cause.INVALID_DATA, Cause.ALTERED_EVENT, Cause.NOT_AN_EVENT)
    assert consumers.webhooks.sender.sent == []


@pytest.mark.parametrize("attempt", [2, 3, 1000, 2**31 - 1])
def test_an_attempt_that_is_not_the_deliverys_next_is_not_made(consumers: Consumers, attempt: int) -> None:
    """Not even if our own code had written it: the row counts."""
    consumers.add_webhook()
    delivery_id = consumers.webhooks.fan_out()
    consumers.webhooks.due()
    event = consumers.written(
        consumers.order("CONFIRMED"), WebhookAttemptScheduled(delivery_id=delivery_id, attempt=attempt)
    )

    assert consumers.deliver(Queue.WEBHOOK_DELIVERY, event.model_dump_json()) == []

    assert consumers.webhooks.sender.sent == []
    assert consumers.webhooks.row(delivery_id)["attempts"] == 0


def test_what_is_not_due_yet_does_not_happen(consumers: Consumers, database: Database) -> None:
    event = consumers.written(consumers.order("CONFIRMED"), GENUINE[NotificationRequested.type])
    execute(database, "UPDATE outbox SET not_before = now() + interval '1 hour' WHERE id = :id", id=event.id)

    with recorded() as written:
        consumers.deliver(Queue.NOTIFICATION_SENDING, event.model_dump_json())

    (line,) = written.logs("Message refused, it goes to the dead-letter queue")
    assert line["cause"] == Cause.NOT_DUE
    assert consumers.mails.sent == []


def test_the_genuine_message_takes_effect_although_forged_ones_came_first(consumers: Consumers) -> None:
    event = consumers.written(consumers.order("CONFIRMED"), GENUINE[NotificationRequested.type])
    forged = event.model_copy(update={"data": {"notification": "order_cancelled"}})
    bodies = [each.model_dump_json() for each in (forged, event, forged)]

    assert consumers.deliver(Queue.NOTIFICATION_SENDING, *bodies) == []

    (mail,) = consumers.mails.sent
    assert mail.subject == "Your order is confirmed"
    assert event_ids(consumers.dead_letters.bodies) == [event.id] * 2


def test_a_text_message_for_an_order_without_a_telephone_is_given_up_at_once(
    consumers: Consumers, database: Database
) -> None:
    order_id = consumers.order("CONFIRMED")
    execute(database, "UPDATE orders SET contact_phone = NULL WHERE id = :id", id=order_id)
    requested = NotificationRequested(notification=Notification.ORDER_CONFIRMED, channel=Channel.SMS)
    body = consumers.written(order_id, requested).model_dump_json()

    assert consumers.deliver(Queue.NOTIFICATION_SENDING, body) == []

    assert consumers.dead_letters.bodies == [body]


def test_a_batch_is_looked_up_and_counted_in_one_statement_each(
    consumers: Consumers, database: Database
) -> None:
    events = [consumers.written(consumers.order("PENDING"), GENUINE[OrderCreated.type]) for _ in range(10)]
    statements: list[str] = []
    from sqlalchemy import event

    def note(*call: Any) -> None:
        statements.append(call[2])

    event.listen(database.engine, "before_cursor_execute", note)
    consumers.deliver(Queue.ORDER_PROCESSING, *(event.model_dump_json() for event in events))
    event.remove(database.engine, "before_cursor_execute", note)

    assert [statement.split()[0] for statement in statements] == ["SELECT", "INSERT"]
    assert len(consumers.step_functions.executions) == 10


def test_the_dead_letter_keeps_where_it_came_from(consumers: Consumers) -> None:
    consumers.deliver(Queue.ORDER_PROCESSING, "not json")

    (letter,) = consumers.dead_letters.letters
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert attributes == {ORIGINAL_ID: "message-0", ORIGINAL_TIME: "1767225600000", DELIVERIES: "1"}


FAT: dict[str, dict[str, Any]] = {
    "unknown fields": {f"{EMAIL}{number}": number for number in range(24_000)},
    "a long value": {"totalAmount": "9" * 236_000},
    "a long name": {"x" * 236_000: 1},
    "a deep nest": {"totalAmount": json.loads("[" * 200 + "]" * 200)},
}


@pytest.mark.parametrize("kind", sorted(FAT))
@pytest.mark.parametrize("place", ["data", "envelope", "type", "correlationid"])
def test_a_fat_message_makes_one_short_line(consumers: Consumers, kind: str, place: str) -> None:
    message = cloud_event(uuid4(), GENUINE[OrderCreated.type]).model_dump(mode="json")
    if place == "data":
        message["data"] |= FAT[kind]
    elif place == "envelope":
        message = {**FAT[kind], **message}
    else:
        message[place] = json.dumps(FAT[kind])

    with recorded() as written:
        assert consumers.deliver(Queue.ORDER_PROCESSING, json.dumps(message)) == []

    assert written.log_lines == 1
    assert len(written.text) < MAX_LINE
    assert EMAIL not in written.text
    (line,) = written.logs("Message refused, it goes to the dead-letter queue")
    assert len(line["faults"]) <= len(CloudEvent.model_fields)
