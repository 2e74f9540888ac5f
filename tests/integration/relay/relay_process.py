"""A relay in a process of its own, which drains the outbox, or is killed between send and mark.

python -m tests.integration.relay.relay_process drain|die CREDENTIALS_JSON QUEUE_URLS_JSON
"""

import json
import os
import sys
import threading

from functions.outbox_relay.messages import Batch
from functions.outbox_relay.outcomes import Outcome
from functions.outbox_relay.publisher import SqsPublisher
from functions.outbox_relay.relay import SENDERS
from orders.db import Credentials, Database
from orders.events import Queue
from tests.integration.relay.outbox_setup import Relays

KILLED = 9


class DiesAfterSending:
    """Sends one batch to each of two queues; when SQS has confirmed both, nothing else of this process happens."""

    def __init__(self, publisher: SqsPublisher) -> None:
        self._publisher = publisher
        self._both_sent = threading.Barrier(2, action=lambda: os._exit(KILLED))

    def send(self, batch: Batch) -> list[Outcome]:
        self._publisher.send(batch)
        self._both_sent.wait(timeout=30)
        raise AssertionError("unreachable")


def main(mode: str, credentials: str, urls: str) -> None:
    database = Database(lambda: Credentials.model_validate_json(credentials))
    queue_urls = {Queue(name): url for name, url in json.loads(urls).items()}
    publisher = SqsPublisher.connect(queue_urls, connections=SENDERS)
    Relays(database, DiesAfterSending(publisher) if mode == "die" else publisher).drain()


if __name__ == "__main__":
    main(*sys.argv[1:])
