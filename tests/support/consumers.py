"""What a queue's consumer gets from Lambda, and what it answers."""

from typing import Any

from orders.domain import Channel, Notification
from orders.events import CloudEvent, EventData, NotificationRequested
from orders.ids import uuid7
from tests.support.factories import TRACE


def batch(*bodies: str) -> dict[str, Any]:
    """An SQS event with these message bodies; message ids are `message-0`, `message-1`, …"""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
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


def notification_requested(
    order_id: Any, notification: Notification, channel: Channel = Channel.EMAIL
) -> CloudEvent:
    return cloud_event(order_id, NotificationRequested(notification=notification, channel=channel))
