"""Dead letters: every one is explained, redriven once, or discarded with a reason (promise I12)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.operations import dependencies
from functions.operations.queues.message_ages import MessageAges
from orders.domain import Notification
from orders.events import (
    CONSUMER_OF,
    CloudEvent,
    ConfirmationCodeRequested,
    InventoryReserved,
    OrderCreated,
    PaymentCaptured,
    Queue,
)
from orders.messages import Cause
from tests.integration.operations.support import ADMIN, OPERATOR, MovingSqs, Operations, SilentSqs
from tests.support.api import Answer
from tests.support.consumers import cloud_event, notification_requested
from tests.support.factories import EMAIL, TRACE, add_order, execute
from tests.support.mail_events import bounce
from tests.support.written import recorded

ROOT = Path(__file__).resolve().parents[3]

ORDERS = Queue.ORDER_PROCESSING
NOTIFICATIONS = Queue.NOTIFICATION_SENDING


def created(operations: Operations, status: str = "PENDING") -> CloudEvent:
    """The event of an order that has come as far as `status`."""
    order_id = add_order(operations.database)
    if status != "PENDING":
        execute(operations.database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :id", id=order_id)
    if status not in ("PENDING", "PROCESSING"):
        execute(
            operations.database,
            "UPDATE orders SET status = :status WHERE id = :id",
            id=order_id,
            status=status,
        )
    return cloud_event(order_id, OrderCreated(total_amount=2500, currency="USD"))


def messages(operations: Operations, queue: Queue) -> list[dict[str, Any]]:
    answer = operations.admin.get(f"{ADMIN}/dlqs/{queue}/messages")
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json["items"]
    return found


def explained(operations: Operations, queue: Queue, body: str | CloudEvent) -> dict[str, Any]:
    """How the one dead letter is explained."""
    message_id = operations.bury(queue, body)
    (message,) = messages(operations, queue)
    assert message["messageId"] == message_id
    return message


def redrive(operations: Operations, queue: Queue, message_id: str | None = None) -> Answer:
    body = {} if message_id is None else {"messageId": message_id}
    return operations.admin.post(f"{ADMIN}/dlqs/{queue}/redrive", body)


def discard(operations: Operations, queue: Queue, message_id: str, **body: Any) -> Answer:
    return operations.admin.post(f"{ADMIN}/dlqs/{queue}/messages/{message_id}/discard", body)


def test_every_queue_is_listed_with_its_depth_and_its_dlq_s(operations: Operations) -> None:
    operations.bury(ORDERS, "poison")

    answer = operations.admin.get(f"{ADMIN}/queues")

    assert answer.status == 200
    assert answer.json["nextCursor"] is None
    by_name = {item["name"]: item for item in answer.json["items"]}
    assert set(by_name) == set(Queue)
    assert by_name[ORDERS]["dlq"] == {"visible": 1, "inFlight": 0, "delayed": 0}
    assert by_name[ORDERS]["queue"] == {"visible": 0, "inFlight": 0, "delayed": 0}


def age(operations: Operations, queue: Queue, seconds: float, minutes_ago: float) -> None:
    """What SQS tells CloudWatch."""
    operations.aws.cloudwatch.put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": [
                    {"Name": "QueueName", "Value": operations.queue_urls[queue].rpartition("/")[2]}
                ],
                "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes_ago),
                "Value": seconds,
            }
        ],
    )


def ages(operations: Operations) -> dict[str, int | None]:
    listed = operations.admin.get(f"{ADMIN}/queues").json["items"]
    return {item["name"]: item["oldestMessageAgeSeconds"] for item in listed}


def test_a_queue_tells_the_age_of_its_oldest_message_as_cloudwatch_had_it_last(
    operations: Operations,
) -> None:
    age(operations, ORDERS, 20, minutes_ago=4.5)
    age(operations, ORDERS, 80, minutes_ago=2.5)
    age(operations, Queue("notification-sending"), 3600, minutes_ago=60)

    assert ages(operations) == {**dict.fromkeys(Queue), ORDERS: 80}


def test_cloudwatch_is_asked_once_a_minute_also_when_it_does_not_respond(operations: Operations) -> None:
    asked: list[float] = []
    clock = [0.0]

    class Silent:
        def get_metric_data(self, **request: Any) -> Any:
            asked.append(clock[0])
            raise EndpointConnectionError(endpoint_url="https://monitoring.example")

    silent = MessageAges(Silent(), operations.queue_urls, clock=lambda: clock[0])
    operations.monkeypatch.setattr(dependencies, "message_ages", lambda: silent)
    for clock[0] in (0.0, 30.0, 59.0, 60.0, 61.0):
        assert ages(operations) == dict.fromkeys(Queue)

    assert asked == [0.0, 60.0]


def test_a_dead_letter_tells_which_order_which_event_and_how_often_it_was_tried(
    operations: Operations,
) -> None:
    event = created(operations)

    message = explained(operations, ORDERS, event)

    assert message["eventId"] == str(event.id)
    assert message["eventType"] == event.type
    assert message["orderId"] == str(event.subject)
    assert message["orderStatus"] == "PENDING"
    assert message["correlationId"] == TRACE.correlation_id
    assert message["received"] == 1
    assert message["sentAt"].startswith("20")
    assert message["cause"] == "CONSUMER_FAILED"
    assert "redrive" in message["explanation"]


@pytest.mark.parametrize("is_processed", [False, True])
def test_a_dead_code_for_a_recipient_is_of_no_order_and_can_be_redriven(
    operations: Operations, is_processed: bool
) -> None:
    event = cloud_event(uuid4(), ConfirmationCodeRequested(version=1))
    if is_processed:
        execute(operations.database, "INSERT INTO inbox VALUES ('notify', :id)", id=event.id)

    message = explained(operations, NOTIFICATIONS, event)

    assert (message["orderId"], message["orderStatus"]) == (None, None)
    assert message["cause"] == ("ALREADY_DONE" if is_processed else "CONSUMER_FAILED")
    assert redrive(operations, NOTIFICATIONS, message["messageId"]).status == (409 if is_processed else 200)


@pytest.mark.parametrize("is_good", [True, False])
def test_dead_feedback_on_a_mail_is_explained_without_its_address_and_can_be_redriven(
    operations: Operations, is_good: bool
) -> None:
    body = bounce("ses-1", EMAIL)
    message = explained(
        operations, Queue.MAIL_FEEDBACK, body if is_good else body.replace("Permanent", "Eternal")
    )

    assert message["cause"] == ("CONSUMER_FAILED" if is_good else "NOT_AN_EVENT")
    assert message["errors"] == ([] if is_good else ["bounce: literal_error"])
    assert (message["eventId"], message["orderId"], message["correlationId"]) == (None, None, None)
    assert EMAIL not in str(message)
    if is_good:
        assert redrive(operations, Queue.MAIL_FEEDBACK, message["messageId"]).status == 200
        assert operations.alive(Queue.MAIL_FEEDBACK) == [body]
        assert EMAIL not in str(operations.actions())


def test_looking_leaves_every_message_where_it_is(operations: Operations) -> None:
    bodies = {f"poison {number}" for number in range(23)}
    for body in bodies:
        operations.bury(ORDERS, body)

    assert len(messages(operations, ORDERS)) == 23
    assert len(messages(operations, ORDERS)) == 23, "given back at once, not after their time"
    assert set(operations.dead(ORDERS)) == bodies


def test_not_more_are_looked_at_than_was_asked_for(operations: Operations) -> None:
    for number in range(5):
        operations.bury(ORDERS, f"poison {number}")

    answer = operations.admin.get(f"{ADMIN}/dlqs/{ORDERS}/messages?limit=3")

    assert len(answer.json["items"]) == 3


@pytest.mark.parametrize("limit", ["0", "51", "many"])
def test_a_limit_out_of_bounds_is_refused(operations: Operations, limit: str) -> None:
    answer = operations.admin.get(f"{ADMIN}/dlqs/{ORDERS}/messages?limit={limit}")

    assert (answer.status, answer.pointers) == (422, ["#/query/limit"])


def test_what_is_no_event_is_told_by_its_faults_and_never_by_its_content(operations: Operations) -> None:
    with recorded() as written:
        message = explained(operations, ORDERS, f'{{"id": "{EMAIL}", "source": "x", "{EMAIL}": 1}}')

    assert message["cause"] == "NOT_AN_EVENT"
    assert "id: uuid_parsing" in message["errors"]
    assert "subject: missing" in message["errors"]
    assert message["orderId"] is message["eventId"] is message["correlationId"] is None
    assert EMAIL not in str(message)
    assert EMAIL not in written.text


def test_what_is_not_even_json_is_told_so(operations: Operations) -> None:
    message = explained(operations, ORDERS, "not an event")

    assert (message["cause"], message["errors"]) == ("NOT_AN_EVENT", ["body: json_invalid"])


def test_a_type_that_nobody_knows_is_told_and_repeated_only_if_it_could_be_one_of_ours(
    operations: Operations,
) -> None:
    event = created(operations)
    newer = event.model_copy(update={"type": "com.orders.order.shipped.v1"})
    strange = event.model_copy(update={"type": EMAIL})

    operations.bury(ORDERS, newer)
    operations.bury(ORDERS, strange)

    found = messages(operations, ORDERS)
    assert {message["cause"] for message in found} == {"UNKNOWN_TYPE"}
    assert {message["eventType"] for message in found} == {"com.orders.order.shipped.v1", None}


def test_an_event_on_the_wrong_queue_is_told(operations: Operations) -> None:
    assert explained(operations, NOTIFICATIONS, created(operations))["cause"] == "WRONG_QUEUE"


def test_data_that_does_not_fit_is_told_without_names_that_we_did_not_give(operations: Operations) -> None:
    event = created(operations)
    wrong = event.model_copy(update={"data": {"totalAmount": "much", "currency": "USD", EMAIL: 1}})

    message = explained(operations, ORDERS, wrong)

    assert message["cause"] == "INVALID_DATA"
    assert message["errors"] == ["totalAmount: int_parsing", "a field that is not known: extra_forbidden"]


def test_an_event_of_no_order_is_told(operations: Operations) -> None:
    event = cloud_event(uuid4(), OrderCreated(total_amount=2500, currency="USD"))

    assert explained(operations, ORDERS, event)["cause"] == "NO_SUCH_ORDER"


@pytest.mark.parametrize("status", ["PROCESSING", "CONFIRMED", "CANCELLED", "NEEDS_REVIEW"])
def test_the_start_of_a_saga_that_has_started_since_is_done(operations: Operations, status: str) -> None:
    message = explained(operations, ORDERS, created(operations, status))

    assert (message["cause"], message["orderStatus"]) == ("ALREADY_DONE", status)


CONSUMED = {
    Queue.PAYMENT_PROCESSING: lambda order_id: cloud_event(
        order_id, PaymentCaptured(amount=1, currency="USD")
    ),
    Queue.INVENTORY_MANAGEMENT: lambda order_id: cloud_event(order_id, InventoryReserved(ttl_seconds=900)),
    NOTIFICATIONS: lambda order_id: notification_requested(order_id, Notification.ORDER_CONFIRMED),
}


@pytest.mark.parametrize("queue", CONSUMED)
def test_an_event_that_its_consumer_has_dealt_with_since_is_done(
    operations: Operations, queue: Queue
) -> None:
    event = CONSUMED[queue](created(operations).subject)
    assert explained(operations, queue, event)["cause"] == "CONSUMER_FAILED"

    execute(
        operations.database,
        "INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :id)",
        consumer=CONSUMER_OF[queue],
        id=event.id,
    )

    assert [message["cause"] for message in messages(operations, queue)] == ["ALREADY_DONE"]


def test_the_errors_that_the_tables_know_are_told(operations: Operations) -> None:
    event = CONSUMED[NOTIFICATIONS](created(operations, "CANCELLED").subject)
    execute(
        operations.database,
        "INSERT INTO saga_steps (order_id, step, status, error) "
        "VALUES (:id, 'ProcessPayment', 'FAILED', 'PaymentDeclined')",
        id=event.subject,
    )
    execute(
        operations.database,
        "INSERT INTO notifications (id, order_id, type, channel, status, error, lease_until) "
        "VALUES (:claim, :id, 'order_confirmed', 'email', 'FAILED', 'Throttling', now())",
        claim=uuid4(),
        id=event.subject,
    )

    message = explained(operations, NOTIFICATIONS, event)

    assert message["errors"] == ["ProcessPayment: PaymentDeclined", "notification FAILED: Throttling"]


def test_every_cause_has_its_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text()
    assert {cause for cause in Cause if f"\n### `{cause}`\n" not in runbook} == set()


def test_one_message_is_redriven_and_the_others_stay(operations: Operations) -> None:
    events = [created(operations) for _ in range(3)]
    ids = [operations.bury(ORDERS, event) for event in events]

    answer = redrive(operations, ORDERS, ids[1])

    assert answer.status == 200
    assert answer.json == {"queue": ORDERS, "moved": 1, "failed": 0, "more": False}
    assert operations.alive(ORDERS) == [events[1].model_dump_json()]
    assert sorted(operations.dead(ORDERS)) == sorted(e.model_dump_json() for e in (events[0], events[2]))
    (action,) = operations.actions()
    assert (action["action"], action["operator"]) == ("MESSAGE_REDRIVEN", OPERATOR)
    assert action["target"] == f"{ORDERS}/{ids[1]}"
    assert action["order_id"] == events[1].subject


def test_a_redriven_message_keeps_its_attributes(operations: Operations) -> None:
    event = created(operations)
    redrive(operations, ORDERS, operations.bury(ORDERS, event))

    (message,) = operations.sqs.receive_message(
        QueueUrl=operations.queue_urls[ORDERS], MessageAttributeNames=["All"]
    )["Messages"]
    assert message["MessageAttributes"]["type"]["StringValue"] == event.type


def test_redriven_again_it_is_not_there_any_more(operations: Operations) -> None:
    message_id = operations.bury(ORDERS, created(operations))
    redrive(operations, ORDERS, message_id)

    answer = redrive(operations, ORDERS, message_id)

    assert answer.status == 404
    assert answer.json["type"].endswith("/message-not-found")
    assert len(operations.alive(ORDERS)) == 1
    assert len(operations.actions()) == 1


def test_a_message_in_another_operator_s_hands_is_not_redriven_twice(operations: Operations) -> None:
    message_id = operations.bury(ORDERS, created(operations))
    operations.sqs.receive_message(QueueUrl=operations.dlq_urls[ORDERS])

    assert redrive(operations, ORDERS, message_id).status == 404
    assert operations.alive(ORDERS) == []


def test_what_has_taken_effect_meanwhile_is_not_redriven(operations: Operations) -> None:
    event = created(operations, "CONFIRMED")
    message_id = operations.bury(ORDERS, event)

    answer = redrive(operations, ORDERS, message_id)

    assert answer.status == 409
    assert answer.json["type"].endswith("/nothing-to-redrive")
    assert "Discard it" in answer.json["detail"]
    assert operations.alive(ORDERS) == []
    assert operations.dead(ORDERS) == [event.model_dump_json()], "given back"
    assert operations.actions() == []


def test_a_message_that_could_not_be_sent_is_still_there(operations: Operations) -> None:
    message_id = operations.bury(ORDERS, created(operations))
    operations.sqs.delete_queue(QueueUrl=operations.queue_urls[ORDERS])

    answer = redrive(operations, ORDERS, message_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (503, "service-unavailable")
    assert len(operations.dead(ORDERS)) == 1


def test_all_messages_are_moved_by_sqs_itself(operations: Operations) -> None:
    sqs = MovingSqs(operations.sqs)
    operations.talk_to(sqs)
    for number in range(25):
        operations.bury(ORDERS, f"poison {number}")

    answer = redrive(operations, ORDERS)
    sqs.finish_moves()

    assert answer.json == {"queue": ORDERS, "moved": None, "failed": 0, "more": False}
    assert operations.dead(ORDERS) == []
    assert sorted(operations.alive(ORDERS)) == sorted(f"poison {number}" for number in range(25))
    (action,) = operations.actions()
    assert (action["action"], action["target"]) == ("QUEUE_REDRIVEN", ORDERS)


def test_a_queue_is_not_redriven_again_while_sqs_is_moving_it(operations: Operations) -> None:
    sqs = MovingSqs(operations.sqs)
    operations.talk_to(sqs)
    operations.bury(ORDERS, created(operations))

    assert [redrive(operations, ORDERS).status for _ in range(2)] == [200, 409]
    sqs.finish_moves()
    assert redrive(operations, ORDERS).status == 200


def test_a_message_is_discarded_with_a_note_and_the_book_keeps_what_it_was(operations: Operations) -> None:
    message_id = operations.bury(ORDERS, "not an event")
    kept = created(operations)
    operations.bury(ORDERS, kept)

    answer = discard(operations, ORDERS, message_id, note="sent by a load test")

    assert answer.json == {"queue": ORDERS, "messageId": message_id}
    assert operations.dead(ORDERS) == [kept.model_dump_json()]
    (action,) = operations.actions()
    assert (action["action"], action["operator"]) == ("MESSAGE_DISCARDED", OPERATOR)
    assert action["note"] == "sent by a load test"
    assert "cause=NOT_AN_EVENT" in action["detail"]


@pytest.mark.parametrize(
    "body", [{}, {"note": ""}, {"note": "x" * 501}, {"note": "two\nlines"}, {"note": "\0"}]
)
def test_nothing_is_discarded_without_a_note(operations: Operations, body: dict[str, str]) -> None:
    message_id = operations.bury(ORDERS, "not an event")

    answer = discard(operations, ORDERS, message_id, **body)

    assert (answer.status, answer.pointers) == (422, ["#/note"])
    assert operations.dead(ORDERS) == ["not an event"]


def test_a_message_that_is_not_there_is_not_discarded(operations: Operations) -> None:
    assert discard(operations, ORDERS, str(uuid4()), note="why").status == 404
    assert operations.actions() == []


@pytest.mark.parametrize("name", ["nobody", "order-processing-dlq"])
def test_an_unknown_queue_is_not_found(operations: Operations, name: str) -> None:
    answer = operations.admin.get(f"{ADMIN}/dlqs/{name}/messages")

    assert answer.status == 404
    assert answer.json["type"].endswith("/queue-not-found")


def test_a_silent_sqs_is_told_as_such(operations: Operations) -> None:
    operations.talk_to(SilentSqs())

    answer = operations.admin.get(f"{ADMIN}/queues")

    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "secret" not in answer.text
