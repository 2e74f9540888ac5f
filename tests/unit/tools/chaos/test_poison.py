"""Poison is what no consumer takes, is known by its mark, and is told from what was given up in an outage."""

import json

import pytest

from orders.events import CATALOGUE, EVENT_QUEUES, CloudEvent, NotificationRequested, Queue
from orders.ids import uuid7
from tools.audit.dead_letters import DeadLetter
from tools.chaos.plan import DeadEvent, Poison
from tools.chaos.poison import MARK, is_planted, message, outbox_row


@pytest.mark.parametrize("queue", EVENT_QUEUES)
@pytest.mark.parametrize("poison", Poison)
def test_a_planted_message_is_known_by_its_mark_and_is_no_event_of_its_queue(
    queue: Queue, poison: Poison
) -> None:
    mark, body = message(queue, poison)
    letter = DeadLetter(queue, "1", body)
    assert mark.startswith(MARK)
    assert mark in letter.body
    assert is_planted(letter.body)
    assert letter.event is None


def test_no_two_marks_are_the_same() -> None:
    assert (
        message(Queue.ORDER_PROCESSING, Poison.NO_EVENT)[0]
        != message(Queue.ORDER_PROCESSING, Poison.NO_EVENT)[0]
    )


@pytest.mark.parametrize(
    ("flaw", "is_known"), [(DeadEvent.UNKNOWN_TYPE, False), (DeadEvent.UNFIT_DATA, True)]
)
def test_a_planted_row_is_of_no_type_or_its_data_does_not_fit(flaw: DeadEvent, is_known: bool) -> None:
    row = outbox_row(uuid7(), flaw)
    assert (row["type"] in CATALOGUE) is is_known
    if is_known:
        with pytest.raises(ValueError, match="validation error"):
            CATALOGUE[row["type"]].model_validate(json.loads(row["data"]))


def test_an_event_that_was_given_up_is_one_of_its_queue() -> None:
    event = CloudEvent(
        id=uuid7(),
        type=NotificationRequested.type,
        subject=uuid7(),
        time="2026-01-01T00:00:00Z",
        correlationid="correlation",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        data={"notification": "order_confirmed"},
    )
    body = event.model_dump_json()
    assert DeadLetter(Queue.NOTIFICATION_SENDING, "1", body).event == event
    assert DeadLetter(Queue.ORDER_PROCESSING, "1", body).event is None, "of another queue"
    assert not is_planted(body)
