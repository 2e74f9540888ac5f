"""What a queue's consumer gets from Lambda, and what it answers."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from orders import consumer
from orders.db import Database
from orders.domain import Channel, Notification
from orders.events import CloudEvent, EventData, NotificationRequested
from orders.ids import uuid7
from tests.support.factories import TRACE, execute


def batch(*bodies: str, tracing_header: str | None = None) -> dict[str, Any]:
    """An SQS event with these message bodies; message ids are `message-0`, `message-1`, …"""
    traced = {} if tracing_header is None else {"AWSTraceHeader": tracing_header}
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767225600000", **traced},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders-test-queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def failed(answer: Any) -> list[str]:
    """The ids of the messages that a consumer gives back to its queue."""
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def cloud_event(order_id: Any, data: EventData) -> CloudEvent:
    """An event as the relay publishes it."""
    return CloudEvent.model_validate(
        {
            "id": uuid7(),
            "type": data.type,
            "subject": order_id,
            "time": "2026-01-01T00:00:00Z",
            "correlationid": TRACE.correlation_id,
            "traceparent": TRACE.traceparent,
            "data": data.model_dump(mode="json", by_alias=True),
        }
    )


def published(database: Database, *bodies: str) -> None:
    """Puts the events that these messages hold into the outbox, as if our code had written and the relay sent them.
    What is there stays as it is, and what is no event is left alone."""
    for body in bodies:
        try:
            event = CloudEvent.model_validate_json(body)
        except ValidationError:
            continue
        execute(
            database,
            """
            INSERT INTO outbox (id, type, subject, data, correlation_id, traceparent, status, created_at, published_at)
            VALUES (:id, :type, :subject, CAST(:data AS jsonb), :correlation_id, :traceparent, 'PUBLISHED', :time,
                    now())
            ON CONFLICT (id) DO NOTHING
            """,
            id=event.id,
            type=event.type,
            subject=event.subject,
            data=json.dumps(event.data),
            correlation_id=event.correlationid,
            traceparent=event.traceparent,
            time=event.time,
        )


@dataclass
class FakeDeadLetterQueue:
    """Takes what consumers give up at the first look, or refuses to."""

    letters: list[dict[str, Any]] = field(default_factory=list)
    is_silent: bool = False

    @classmethod
    def installed(cls, monkeypatch: pytest.MonkeyPatch) -> "FakeDeadLetterQueue":
        queue = cls()
        monkeypatch.setattr(consumer, "_sqs", lambda: queue)
        return queue

    def send_message(self, **message: Any) -> None:
        if self.is_silent:
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessage")
        self.letters.append(message)

    @property
    def bodies(self) -> list[str]:
        return [letter["MessageBody"] for letter in self.letters]


def event_ids(bodies: list[str]) -> list[UUID]:
    return [CloudEvent.model_validate_json(body).id for body in bodies]


def notification_requested(
    order_id: Any, notification: Notification, channel: Channel = Channel.EMAIL
) -> CloudEvent:
    return cloud_event(order_id, NotificationRequested(notification=notification, channel=channel))
