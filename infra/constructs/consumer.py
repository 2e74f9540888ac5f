"""How a function consumes a queue."""

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs


def consume(queue: sqs.Queue, function: lambda_.Function, *, batch_size: int, max_concurrency: int) -> None:
    """Gives the function the queue's messages in batches, at most so many batches at a time.

    A batch may fail in part: the messages that worked are not delivered again. The limit is the event source's and
    never the function's reserved concurrency, because a throttled delivery counts as one and ends in the DLQ.
    """
    function.add_event_source(
        event_sources.SqsEventSource(
            queue,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            report_batch_item_failures=True,
        )
    )
