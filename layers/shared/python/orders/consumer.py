"""Consuming a queue: each message is one event, and fails alone.

A message only says which event it is about. The event is read from the outbox, for a whole batch in one statement, and
the work is done with what stands there (promise I14). A message that does not fit is poison: it goes to the dead-letter
queue at once, and nothing is done.

A message whose work raises goes back to its queue, and after `maxReceiveCount` deliveries to the dead-letter queue;
the others of its batch are not delivered again. Nothing is swallowed here (trap T16). A message that the function
has no time left for goes back untouched: a timeout would take the whole batch with it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    FailureResponse,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import Row

from orders import aws
from orders.aws import sdk_calls
from orders.db import Database
from orders.errors import OutOfTime, UnexpectedEvent
from orders.events import CloudEvent, EventData
from orders.messages import (
    Cause,
    Hint,
    Poison,
    attributes_of_dead_letter,
    checked,
    find_written,
    read,
    read_hint,
)
from orders.observability import correlate, log_failure, logger, valid_correlation_id
from orders.tracing import MESSAGE_ATTRIBUTE, message_attributes, trace_id, traceparent_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

Data = TypeVar("Data", bound=EventData)

NEEDED_SECONDS: Final = 3.0
"""What one message may take: a transaction, with a retry or two."""

_READ_TIMEOUT_SECONDS: Final = 2
_ATTEMPTS: Final = 1
"""A message that could not be put into the dead-letter queue goes back to its own, and gets there in the end."""

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
    *,
    database: Database,
    dlq_url: str,
    needed_seconds: float = NEEDED_SECONDS,
) -> PartialItemFailureResponse:
    """Hands each message's event, as it stands in the outbox, and its typed payload to `work`, and returns which
    messages failed.

    A message fails if `work` raises, if the database cannot be asked, or if less than `needed_seconds` is left of the
    function's time. One that is no event of ours, or not an `expected` one, is put into the queue at `dlq_url`; so is
    one that `work` refuses by UnexpectedEvent.
    """
    readings = {record["messageId"]: read(expected.queue, record["body"]) for record in batch["Records"]}
    event_ids = {reading.event.id for reading in readings.values() if reading.event and not reading.cause}

    @functools.cache
    def written() -> Mapping[UUID, Row[Any]]:
        return database.transact_alone(lambda connection: find_written(connection, event_ids))

    def handle(record: SQSRecord) -> None:
        reading = readings[record.message_id]
        if reading.event and reading.cause is None:
            logger.append_keys(event_id=str(reading.event.id))
            reading = checked(reading, written().get(reading.event.id))
        event, payload = reading.event, reading.payload
        if reading.cause or event is None or not isinstance(payload, expected):
            raise Poison(reading.cause or Cause.WRONG_QUEUE, reading.faults)
        subject = "order_id" if payload.is_of_order else "recipient_id"
        correlation_id = valid_correlation_id(event.correlationid) or ""
        correlate(correlation_id, event.traceparent, **{subject: str(event.subject)})
        work(event, payload)

    return consume_messages(batch, context, handle, dlq_url=dlq_url, needed_seconds=needed_seconds)


def consume_messages(
    batch: dict[str, Any],
    context: LambdaContext,
    work: Callable[[SQSRecord], None],
    *,
    dlq_url: str,
    needed_seconds: float = NEEDED_SECONDS,
) -> PartialItemFailureResponse:
    """Hands each message to `work`, and returns which messages failed: those that `work` raises for, and those that
    less than `needed_seconds` of the function's time were left for. What it refuses by Poison or UnexpectedEvent is put
    into the queue at `dlq_url`."""

    def handle(record: SQSRecord) -> None:
        logger.remove_keys(_IDS_OF_ONE_MESSAGE)
        logger.append_keys(
            message_id=record.message_id,
            receive_count=record.attributes.approximate_receive_count,
            # What the message claims, until its event has been read.
            trace_id=trace_id(_traceparent(record) or ""),
        )
        if context.get_remaining_time_in_millis() < 1000 * needed_seconds:
            raise OutOfTime("the message was not begun")
        try:
            work(record)
        except Poison as poison:
            _give_up(dlq_url, record, poison.cause, poison.faults)
        except UnexpectedEvent as error:
            _give_up(dlq_url, record, Cause.CONSUMER_FAILED, (str(error),))

    return process_partial_response(
        event=batch, record_handler=handle, processor=_Processor(), context=context
    )


def consume_hints(
    batch: dict[str, Any],
    context: LambdaContext,
    expected: type[Hint],
    work: Callable[[Hint], None],
    *,
    dlq_url: str,
    needed_seconds: float = NEEDED_SECONDS,
) -> PartialItemFailureResponse:
    """As `consume_messages`, with each message as `expected`. `work` believes nothing of it. One that is something else
    is put into the queue at `dlq_url`."""
    return consume_messages(
        batch,
        context,
        lambda record: work(read_hint(expected, record.body)),
        dlq_url=dlq_url,
        needed_seconds=needed_seconds,
    )


def _give_up(dlq_url: str, record: SQSRecord, cause: Cause, faults: tuple[str, ...]) -> None:
    """Puts a poison message into the dead-letter queue. From its own queue it goes with the batch's response: killed in
    between it is in both, and comes here again.

    Raises:
        ServiceUnavailable: SQS did not take it.
    """
    raw = record.raw_event
    attributes = attributes_of_dead_letter(
        raw.get("messageAttributes") or {},
        record.message_id,
        raw["attributes"].get("SentTimestamp", "0"),
        record.attributes.approximate_receive_count,
    )
    logger.warning("Message refused, it goes to the dead-letter queue", cause=cause, faults=faults)
    with sdk_calls("SQS"):
        _sqs().send_message(
            QueueUrl=dlq_url,
            MessageBody=record.body,
            MessageAttributes=attributes,
            MessageSystemAttributes=message_attributes(_traceparent(record)),
        )


def _traceparent(record: SQSRecord) -> str | None:
    return traceparent_of(record.raw_event["attributes"].get(MESSAGE_ATTRIBUTE))


@functools.cache
def _sqs() -> "SQSClient":
    client: SQSClient = aws.connect("sqs", read_timeout_seconds=_READ_TIMEOUT_SECONDS, attempts=_ATTEMPTS)
    return client


class _Processor(BatchProcessor):
    """Logs each failed message once, here, where its failure is handled."""

    def __init__(self) -> None:
        # Otherwise a batch of one poison message would look like a broken function.
        super().__init__(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def failure_handler(self, record: Any, exception: Any) -> FailureResponse:
        log_failure("Message failed, it goes back to its queue", exception[1])
        return super().failure_handler(record, exception)
