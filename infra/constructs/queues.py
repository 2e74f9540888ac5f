"""The queues that events travel through, each with a dead-letter queue."""

from dataclasses import dataclass
from typing import Final

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.names import pascal
from infra.stages import Stage
from orders.contract import MAX_RECEIVE_COUNT
from orders.events import Queue

# AWS's advice for event sources: the throttled retries of one batch must fit in before a message shows up again.
_VISIBILITY_PER_TIMEOUT: Final = 6

# The DLQ's is the longest that SQS allows. A message keeps its age when it moves there.
_RETENTION: Final = Duration.days(4)
_DLQ_RETENTION: Final = Duration.days(14)


@dataclass(frozen=True)
class QueuePair:
    """A queue, and where its poison messages go."""

    name: str
    queue: sqs.Queue
    dlq: sqs.Queue


class Queues(Construct):
    """All queues, by name. Encrypted at rest, and closed to anything that does not speak TLS."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage) -> None:
        super().__init__(scope, id)
        self.pairs = tuple(self._pair(stage, name) for name in Queue)
        self._by_name = {pair.name: pair for pair in self.pairs}

    def __getitem__(self, name: Queue) -> sqs.Queue:
        return self._by_name[name].queue

    def _pair(self, stage: Stage, name: Queue) -> QueuePair:
        dlq = sqs.Queue(
            self,
            f"{pascal(name)}Dlq",
            queue_name=stage.resource_name(f"{name}-dlq"),
            retention_period=_DLQ_RETENTION,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
        )
        queue = sqs.Queue(
            self,
            pascal(name),
            queue_name=stage.resource_name(name),
            retention_period=_RETENTION,
            visibility_timeout=Duration.seconds(_VISIBILITY_PER_TIMEOUT * stage.consumer_timeout_seconds),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=dlq, max_receive_count=MAX_RECEIVE_COUNT),
        )
        return QueuePair(name.value, queue, dlq)
