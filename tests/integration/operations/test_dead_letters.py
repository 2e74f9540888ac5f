"""Dead letters whose bodies hold anything: shown within bounds, and without what nobody has checked."""

import json
from typing import Any
from uuid import uuid4

import pytest

from functions.operations.queues.redaction import MAX_BODY, redacted
from orders.contract import MAX_RECEIVE_COUNT
from orders.domain import Notification
from orders.events import Consumer, NotificationRequested, OrderCreated, Queue
from orders.messages import DELIVERIES, ORIGINAL_ID, ORIGINAL_TIME
from orders.payments.provider import PaymentProvider
from orders.payments.webhooks import ProviderMessage
from tests.integration.operations.support import ADMIN, Operations
from tests.support.consumers import cloud_event
from tests.support.factories import EMAIL, PHONE, add_order, execute
from tests.support.written import recorded

ORDERS = Queue.ORDER_PROCESSING
MAX_PAGE = 1_000_000
FIELDS = 24_000


def page(operations: Operations, queue: Queue = ORDERS) -> tuple[int, list[dict[str, Any]]]:
    """Bytes of the page of dead letters, and the letters."""
    answer = operations.admin.get(f"{ADMIN}/dlqs/{queue}/messages")
    assert answer.status == 200
    return len(answer.text.encode()), answer.json["items"]


def fat(place: str) -> str:
    message = cloud_event(uuid4(), OrderCreated(total_amount=1, currency="USD")).model_dump(mode="json")
    unknown = {f"x{number}": 1 for number in range(FIELDS)}
    match place:
        case "data":
            message["data"] |= unknown
        case "envelope":
            message |= unknown
        case "type" | "correlationid" | "traceparent":
            message[place] = "x" * 236_000
        case "list":
            return json.dumps([message] * 600)
        case "text":
            return EMAIL * 9_000
    return json.dumps(message)


PLACES = ["data", "envelope", "type", "correlationid", "traceparent", "list", "text"]


@pytest.mark.parametrize("place", PLACES)
def test_fat_messages_make_a_small_page_and_short_lines(operations: Operations, place: str) -> None:
    for _ in range(4):
        operations.bury(ORDERS, fat(place))

    with recorded() as written:
        size, letters = page(operations)

    assert len(letters) == 4
    assert size < 20_000
    assert len(written.text) < 20_000


def test_a_full_page_is_small_whatever_is_in_the_queue(operations: Operations) -> None:
    body = json.dumps(
        {name: {name: {name: [1] * 100} for name in ("data", "id")} for name in ("data", "type")}
    )
    for number in range(50):
        operations.bury(ORDERS, fat(PLACES[number % 7]) if number % 5 == 0 else body)

    size, letters = page(operations)

    assert len(letters) == 50
    assert size < MAX_PAGE


def test_a_body_is_shown_by_names_and_kinds_with_the_ids_of_ours(operations: Operations) -> None:
    event = cloud_event(add_order(operations.database), OrderCreated(total_amount=2500, currency="USD"))
    operations.bury(ORDERS, event)

    _, (letter,) = page(operations)

    body = json.loads(letter["body"])
    assert (body["id"], body["subject"], body["type"]) == (str(event.id), str(event.subject), event.type)
    assert body["data"] == {"totalAmount": 2500, "currency": "text of 3 characters"}
    assert letter["size"] == len(event.model_dump_json())


@pytest.mark.parametrize(
    "body",
    [
        EMAIL,
        json.dumps(EMAIL),
        json.dumps({"email": EMAIL}),
        json.dumps({EMAIL: 1}),
        json.dumps({"data": {"notification": EMAIL, EMAIL: PHONE}}),
        json.dumps({"data": {"amount": int(PHONE[1:])}}),
        json.dumps({"data": [EMAIL]}),
        json.dumps({"correlationid": EMAIL}),
        json.dumps({"type": f"com.orders.{EMAIL}.v1"}),
    ],
)
def test_no_contact_data_is_shown(operations: Operations, body: str) -> None:
    operations.bury(ORDERS, body)

    with recorded() as written:
        answer = operations.admin.get(f"{ADMIN}/dlqs/{ORDERS}/messages")

    for secret in (EMAIL, PHONE[1:]):
        assert secret not in answer.text
        assert secret not in written.text


def test_a_body_that_nests_without_end_is_shown_by_its_length() -> None:
    assert redacted("[" * 200_000) == "text of 200000 characters"


def test_a_redacted_body_is_cut() -> None:
    names = ("data", "type", "id", "subject", "time", "source", "amount", "currency")
    body: dict[str, Any] = {"id": str(uuid4())}
    for _ in range(3):
        body = dict.fromkeys(names, body)
    assert len(redacted(json.dumps(body))) <= MAX_BODY


def bury_as_its_consumer_does(operations: Operations, **attributes: str) -> str:
    sent = operations.sqs.send_message(
        QueueUrl=operations.dlq_urls[ORDERS],
        MessageBody="not an event",
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )
    return sent["MessageId"]


def test_a_message_given_up_at_the_first_look_has_its_first_id_age_and_deliveries(
    operations: Operations,
) -> None:
    original = str(uuid4())
    message_id = bury_as_its_consumer_does(
        operations, **{ORIGINAL_ID: original, ORIGINAL_TIME: "1767225600000", DELIVERIES: "1"}
    )

    _, (letter,) = page(operations)

    assert (letter["messageId"], letter["originalMessageId"]) == (message_id, original)
    assert letter["sentAt"] == "2026-01-01T00:00:00Z"
    assert letter["ageSeconds"] > 0


def test_looks_are_counted_apart_from_deliveries(operations: Operations) -> None:
    bury_as_its_consumer_does(operations, **{DELIVERIES: "1"})

    looks = [page(operations)[1][0] for _ in range(3)]

    assert [letter["deliveries"] for letter in looks] == [1, 1, 1]
    assert [letter["received"] for letter in looks] == [1, 2, 3]


@pytest.mark.parametrize(
    "attributes",
    [
        {ORIGINAL_ID: EMAIL},
        {ORIGINAL_ID: "x" * 100_000},
        {ORIGINAL_TIME: "9" * 5_000},
        {ORIGINAL_TIME: "-1"},
        {DELIVERIES: EMAIL},
    ],
)
def test_attributes_that_somebody_forged_are_not_believed(
    operations: Operations, attributes: dict[str, str]
) -> None:
    message_id = bury_as_its_consumer_does(operations, **attributes)

    size, (letter,) = page(operations)

    assert size < 5_000
    assert letter["originalMessageId"] == message_id
    assert letter["deliveries"] == 0
    assert EMAIL not in str(letter)


def test_what_sqs_has_moved_was_delivered_as_often_as_its_queue_allows() -> None:
    from functions.operations.queues.dead_letters import _letter

    letter = _letter(
        {
            "MessageId": "1",
            "ReceiptHandle": "2",
            "Body": "",
            "Attributes": {
                "ApproximateReceiveCount": "8",
                "DeadLetterQueueSourceArn": "arn",
                "SentTimestamp": "1",
            },
        }
    )
    assert (letter.deliveries, letter.received) == (MAX_RECEIVE_COUNT, 8)


def test_a_forged_event_is_explained_and_not_redriven(operations: Operations) -> None:
    order_id = add_order(operations.database)
    genuine = cloud_event(order_id, NotificationRequested(notification=Notification.ORDER_CANCELLED))
    operations.bury(Queue.NOTIFICATION_SENDING, genuine)
    queue = Queue.NOTIFICATION_SENDING
    forged = {
        "UNKNOWN_EVENT": cloud_event(
            order_id, NotificationRequested(notification=Notification.ORDER_CONFIRMED)
        ),
        "ALTERED_EVENT": genuine.model_copy(update={"data": {"notification": "order_confirmed"}}),
        "NO_SUCH_ORDER": cloud_event(
            uuid4(), NotificationRequested(notification=Notification.ORDER_CONFIRMED)
        ),
    }
    for event in forged.values():
        # Not by `bury`, which writes the event to the outbox.
        operations.sqs.send_message(QueueUrl=operations.dlq_urls[queue], MessageBody=event.model_dump_json())

    _, letters = page(operations, queue)

    assert sorted(letter["cause"] for letter in letters) == sorted(["CONSUMER_FAILED", *forged])
    for letter in letters:
        redriven = operations.admin.post(f"{ADMIN}/dlqs/{queue}/redrive", {"messageId": letter["messageId"]})
        assert redriven.status == (200 if letter["cause"] == "CONSUMER_FAILED" else 409)


@pytest.mark.parametrize(
    ("key", "is_dealt_with", "cause"),
    [
        ("order-{}", False, "CONSUMER_FAILED"),
        ("order-{}", True, "ALREADY_DONE"),
        ("refund-{}", False, "CONSUMER_FAILED"),
        ("order-", False, "CONSUMER_FAILED"),
        (None, False, "CONSUMER_FAILED"),
    ],
)
def test_an_event_of_the_payment_provider_is_explained_by_its_order(
    operations: Operations, key: str | None, is_dealt_with: bool, cause: str
) -> None:
    order_id = add_order(operations.database)
    message = ProviderMessage(
        provider=PaymentProvider.SIMULATOR,
        event_id="evt_1",
        type="payment.captured",
        payment_id="pay_1",
        key=key and key.format(order_id),
        correlation_id="corr-00000001",
    )
    if is_dealt_with:
        inserted = "INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event_id)"
        execute(operations.database, inserted, consumer=Consumer.PROVIDER_EVENTS, event_id=message.id)
    operations.bury(Queue.PAYMENT_WEBHOOKS, message.model_dump_json(by_alias=True))

    _, (letter,) = page(operations, Queue.PAYMENT_WEBHOOKS)

    is_of_order = key == "order-{}"
    assert letter["cause"] == cause
    assert letter["orderId"] == (str(order_id) if is_of_order else None)
    assert letter["orderStatus"] == ("PENDING" if is_of_order else None)
    assert letter["correlationId"] == ("corr-00000001" if is_of_order else None)
    assert letter["eventType"] is None, "the provider's own word"
