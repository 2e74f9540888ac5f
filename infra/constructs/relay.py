"""The outbox relay: the only publisher of events."""

import json
from typing import Final

from aws_cdk import Duration
from constructs import Construct

from infra.constructs.function import FunctionRuntime, OrdersFunction
from infra.constructs.queues import Queues
from infra.constructs.schedule import start_every_minute
from orders.events import EVENT_QUEUES

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
        runtime: FunctionRuntime,
        queues: Queues,
    ) -> None:
        super().__init__(scope, id)
        pairs = [pair for pair in queues.pairs if pair.name in EVENT_QUEUES]
        self.relay = OrdersFunction(
            self,
            "OutboxRelay",
            runtime=runtime,
            timeout=_TIMEOUT,
            environment={
                "QUEUE_URLS": json.dumps({pair.name: pair.queue.queue_url for pair in pairs}),
                "RELAY_WINDOW_SECONDS": str(WINDOW_SECONDS),
            },
            description="Publishes outbox rows to their queues",
        )
        for pair in pairs:
            pair.queue.grant_send_messages(self.relay.function)
        start_every_minute(
            self,
            self.relay.function,
            name=runtime.stage.resource_name("outbox-relay"),
            description="Keeps one relay alive",
        )
