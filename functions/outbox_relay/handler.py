"""Started every minute: relays the outbox for a little longer than that, so that there is always a relay alive."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.outbox_relay.claims import Claims
from functions.outbox_relay.publisher import SqsPublisher
from functions.outbox_relay.relay import SENDERS, Relay
from functions.outbox_relay.settings import Settings
from orders.db import Database
from orders.observability import instrumented, logger

settings = Settings.from_environment()
database = Database.from_settings(settings)


@functools.cache
def publisher() -> SqsPublisher:
    return SqsPublisher.connect(settings.queue_urls, connections=SENDERS)


@instrumented
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    with ThreadPoolExecutor(SENDERS) as senders:
        relay = Relay(Claims(database), publisher(), senders)
        counts = relay.run(
            settings.relay_window_seconds, lambda: context.get_remaining_time_in_millis() / 1000
        )
    logger.info("Relay run is over", extra=counts)
    return counts
