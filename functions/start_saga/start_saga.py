"""The use case: one execution for each order. Its name is the order's, so Step Functions itself refuses a second one
(promises I6 and I9)."""

import json
from typing import TYPE_CHECKING, Final

from orders.events import CloudEvent
from orders.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

CONNECT_TIMEOUT_SECONDS: Final = 1
READ_TIMEOUT_SECONDS: Final = 3
ATTEMPTS: Final = 3
"""By the SDK, with its backoff: a message that goes back to its queue is away for minutes, a throttle for a second."""
NEEDED_SECONDS: Final = 15.0
"""What one message may take: every attempt to its timeout, and the SDK's waits between them."""


def connect() -> "SFNClient":
    """The client. boto3 is imported here because it is half of a cold start, and an import has no need of it."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return boto3.client("stepfunctions", config=config)


def start_saga(client: "SFNClient", state_machine_arn: str, event: CloudEvent) -> None:
    """Starts the saga of the event's order. An order whose saga was started before is a success.

    Raises:
        botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: it is not known to be started; the same
            event may be tried again.
    """
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn,
            name=f"order-{event.subject}",
            input=json.dumps(
                {
                    "orderId": str(event.subject),
                    "correlationId": event.correlationid,
                    "traceparent": event.traceparent,
                }
            ),
        )
    except client.exceptions.ExecutionAlreadyExists:
        logger.info("Saga was started before")
    else:
        logger.info("Saga started")
