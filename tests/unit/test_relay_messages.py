"""From outbox rows to messages and batches."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from functions.outbox_relay.messages import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, QueueMessage, compose, pack
from functions.outbox_relay.outcomes import EventRefused
from orders.events import CloudEvent, NotificationRequested, OrderCreated, Queue
from tests.unit.test_relay import an_event


def message(queue: Queue, size: int) -> QueueMessage:
    return QueueMessage(an_event(), queue, "", size)


def composed(**changes: object) -> QueueMessage:
    result = compose(replace(an_event(), **changes))  # type: ignore[arg-type]
    assert isinstance(result, QueueMessage)
    return result


def test_a_message_is_the_row_as_a_cloud_event() -> None:
    event = an_event()
    result = compose(event)
    assert isinstance(result, QueueMessage)
    assert json.loads(result.body) == {
        "specversion": "1.0",
        "id": str(event.id),
        "source": "/orders",
        "type": "com.orders.order.created.v1",
        "subject": str(event.subject),
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "correlationid": "correlation-1",
        "traceparent": event.traceparent,
        "data": {"totalAmount": 2500, "currency": "USD"},
    }


def test_times_are_utc_whatever_zone_the_database_speaks() -> None:
    moment = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    assert json.loads(composed(created_at=moment).body)["time"] == "2026-01-01T00:30:00Z"


def test_the_catalogue_names_the_queue() -> None:
    assert composed().queue == Queue.ORDER_PROCESSING
    told = composed(type=NotificationRequested.type, data='{"notification": "order_confirmed"}')
    assert told.queue == Queue.NOTIFICATION_SENDING


def test_what_is_sent_is_what_a_consumer_accepts() -> None:
    assert CloudEvent.model_validate_json(composed().body).payload() == OrderCreated(
        total_amount=2500, currency="USD"
    )


def test_size_is_counted_in_bytes_and_with_the_attribute() -> None:
    plain, umlauts = composed(correlation_id="aaaa"), composed(correlation_id="ääää")
    assert umlauts.size == plain.size + 4
    assert plain.size == len(plain.body) + len("type") + len("String") + len("com.orders.order.created.v1")


def test_the_largest_message_that_fits_is_sent_and_one_byte_more_is_not() -> None:
    room = MAX_BATCH_BYTES - composed(correlation_id="").size
    assert composed(correlation_id="c" * room).size == MAX_BATCH_BYTES
    too_large = compose(replace(an_event(), correlation_id="c" * (room + 1)))
    assert isinstance(too_large, EventRefused)
    assert too_large.final


def test_a_refusal_says_nothing_of_the_data() -> None:
    refused = compose(replace(an_event(), data='{"totalAmount": "secret", "currency": "USD"}'))
    assert isinstance(refused, EventRefused)
    assert refused.error == "InvalidEventData"


def test_nothing_makes_no_batch() -> None:
    assert list(pack([])) == []


def test_batches_are_filled() -> None:
    batches = list(pack(message(Queue.ORDER_PROCESSING, 1000) for _ in range(25)))
    assert [len(batch.messages) for batch in batches] == [10, 10, 5]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Queue),
            st.one_of(st.integers(1, 2000), st.integers(MAX_BATCH_BYTES - 2000, MAX_BATCH_BYTES)),
        ),
        max_size=60,
    )
)
def test_batches_hold_every_message_once_in_order_and_within_the_limits(
    sizes: list[tuple[Queue, int]],
) -> None:
    messages = [message(queue, size) for queue, size in sizes]
    batches = list(pack(messages))
    for batch in batches:
        assert 1 <= len(batch.messages) <= MAX_BATCH_MESSAGES
        assert sum(one.size for one in batch.messages) <= MAX_BATCH_BYTES
        assert {one.queue for one in batch.messages} == {batch.queue}
    for queue in Queue:
        packed = [one for batch in batches if batch.queue == queue for one in batch.messages]
        assert packed == [one for one in messages if one.queue == queue]
