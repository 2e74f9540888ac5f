"""A function that consumes a queue."""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.database import Database
from infra.constructs.function import FunctionRuntime, OrdersFunction


class QueueConsumer(OrdersFunction):
    """A function that gets the queue's messages in batches, at most so many batches at a time.

    A batch may fail in part: the messages that worked are not delivered again. The limit is the event source's and
    never the function's reserved concurrency, because a throttled delivery counts as one and ends in the DLQ.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        queue: sqs.Queue,
        batch_size: int,
        runtime: FunctionRuntime,
        description: str,
        database: Database | None = None,
        environment: Mapping[str, str] | None = None,
        max_concurrency: int | None = None,
        with_payment_provider: bool = False,
    ) -> None:
        """`max_concurrency` is the stage's for consumers unless another is given."""
        super().__init__(
            scope,
            id,
            runtime=runtime,
            database=database,
            timeout=Duration.seconds(runtime.stage.consumer_timeout_seconds),
            environment=environment,
            with_payment_provider=with_payment_provider,
            description=description,
        )
        self.function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_concurrency=max_concurrency or runtime.stage.consumer_concurrency,
                report_batch_item_failures=True,
            )
        )
