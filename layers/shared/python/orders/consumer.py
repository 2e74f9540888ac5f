"""Consuming a queue: each message is one event, and fails alone.

A message whose work raises goes back to its queue, and after `maxReceiveCount` deliveries to the dead-letter queue;
the others of its batch are not delivered again. Nothing is swallowed here (trap T16). A message that the function
has no time left for goes back untouched: a timeout would take the whole batch with it.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    FailureResponse,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from orders.errors import OutOfTime, UnexpectedEvent
from orders.events import CloudEvent, EventData
from orders.observability import correlate, logger

Data = TypeVar("Data", bound=EventData)

NEEDED_SECONDS: Final = 3.0
"""What one message may take: a transaction, with a retry or two."""

_IDS_OF_ONE_MESSAGE: Final = (
    "message_id",
    "receive_count",
    "correlation_id",
    "event_id",
    "order_id",
    "recipient_id",
)


def consume(
    batch: dict[str, Any],
    context: LambdaContext,
    expected: type[Data],
    work: Callable[[CloudEvent, Data], None],
    needed_seconds: float = NEEDED_SECONDS,
) -> PartialItemFailureResponse:
    """Hands each message's event and its typed payload to `work`, and returns which messages failed.

    A message fails if it is not a CloudEvent, if its payload does not fit its type, if it is not an `expected` event,
    if `work` raises, or if less than `needed_seconds` is left of the function's time.
    """

    def handle(record: SQSRecord) -> None:
        logger.remove_keys(_IDS_OF_ONE_MESSAGE)
        logger.append_keys(
            message_id=record.message_id, receive_count=record.attributes.approximate_receive_count
        )
        if context.get_remaining_time_in_millis() < 1000 * needed_seconds:
            raise OutOfTime("the message was not begun")
        event = CloudEvent.model_validate_json(record.body)
        correlate(event.correlationid, event_id=str(event.id), order_id=str(event.subject))
        payload = event.payload()
        if not isinstance(payload, expected):
            raise UnexpectedEvent(f"{event.type} came where {expected.__name__} is consumed")
        work(event, payload)

    return process_partial_response(
        event=batch, record_handler=handle, processor=_Processor(), context=context
    )


class _Processor(BatchProcessor):
    """Logs each failed message once, here, where its failure is handled."""

    def __init__(self) -> None:
        # Otherwise a batch of one poison message would look like a broken function.
        super().__init__(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def failure_handler(self, record: Any, exception: Any) -> FailureResponse:
        logger.warning("Message failed, it goes back to its queue", exc_info=exception)
        return super().failure_handler(record, exception)
