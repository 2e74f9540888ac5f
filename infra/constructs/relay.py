"""The outbox relay: the only publisher of events."""

import json
from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from constructs import Construct

from infra.constructs.database import Database
from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.queues import Queues
from infra.stages import Stage

_INTERVAL: Final = Duration.minutes(1)

WINDOW_SECONDS: Final = 61
"""How long one run looks for new events. A second more than the interval, so that there is always a relay alive:
an event waits for the next poll, never for the next minute. Several at once are safe."""

# Past the window a run only finishes the batch it holds.
_TIMEOUT: Final = Duration.seconds(WINDOW_SECONDS + 29)


class OutboxRelay(Construct):
    """A function that is started every minute and publishes outbox rows for a little longer than that.

    It always runs, so its memory is what it costs: 256 MB on arm64 are about 9 USD a month.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        runtime: FunctionRuntime,
        database: Database,
        queues: Queues,
    ) -> None:
        super().__init__(scope, id)
        self.relay = OrdersFunction(
            self,
            "OutboxRelay",
            runtime=runtime,
            database=database,
            timeout=_TIMEOUT,
            environment={
                "QUEUE_URLS": json.dumps({pair.name: pair.queue.queue_url for pair in queues.pairs}),
                "RELAY_WINDOW_SECONDS": str(WINDOW_SECONDS),
            },
            description="Publishes outbox rows to their queues",
        )
        for pair in queues.pairs:
            pair.queue.grant_send_messages(self.relay.function)
        # Made here because the role that the target would make may invoke every version of the function.
        scheduler_role = iam.Role(
            self,
            "SchedulerRole",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            ),
        )
        self.relay.function.grant_invoke_latest_version(scheduler_role)
        # A run that fails, or that could not start in time, is made good by the next minute's, not by a retry.
        self.relay.function.configure_async_invoke(retry_attempts=0, max_event_age=_INTERVAL)
        scheduler.Schedule(
            self,
            "EveryMinute",
            schedule_name=stage.resource_name("outbox-relay"),
            description="Keeps one relay alive",
            schedule=scheduler.ScheduleExpression.rate(_INTERVAL),
            target=targets.LambdaInvoke(
                self.relay.function,
                role=scheduler_role.without_policy_updates(),
                retry_attempts=0,
                max_event_age=_INTERVAL,
            ),
        )
