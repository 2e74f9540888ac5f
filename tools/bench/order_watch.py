"""Watching orders end."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import pg8000.native

from orders.domain import TERMINAL_STATUSES, OrderStatus
from orders.ids import uuid7
from tools.bench.load import AcceptedOrder

_LOOK_EVERY_SECONDS: Final = 0.02
_ENDED: Final = """
    SELECT id, status FROM orders WHERE id > :since AND status = ANY (CAST(:terminal AS text[]))
"""


@dataclass(frozen=True)
class Ended:
    """An order that was seen in its last status."""

    at: float
    """`time.time()`, late by up to 20 ms."""
    status: OrderStatus


@dataclass
class Watch:
    """Notes when orders that were placed since it began end."""

    ended: dict[UUID, Ended] = field(default_factory=dict)

    def wait(self, orders: Sequence[AcceptedOrder], seconds: float) -> None:
        """Until all of these have ended.

        Raises:
            TimeoutError: some have not within so many seconds.
        """
        deadline = time.monotonic() + seconds
        while missing := [order for order in orders if order.order_id not in self.ended]:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{len(missing)} of {len(orders)} orders have not ended within {seconds:.0f} s"
                )
            time.sleep(_LOOK_EVERY_SECONDS / 2)

    def seconds(self, orders: Sequence[AcceptedOrder]) -> list[float]:
        """From the first attempt to post it to CONFIRMED, of each of these that was confirmed."""
        return [
            self.ended[order.order_id].at - order.sent_at
            for order in orders
            if self.ended[order.order_id].status is OrderStatus.CONFIRMED
        ]

    def rate(self, orders: Sequence[AcceptedOrder]) -> float:
        """Orders a second, from the first attempt to post any of them to the last end."""
        last = max(self.ended[order.order_id].at for order in orders)
        return len(orders) / (last - min(order.sent_at for order in orders))


@contextlib.contextmanager
def watch_orders(connect: Callable[[], AbstractContextManager[pg8000.native.Connection]]) -> Iterator[Watch]:
    """Watches the orders that are placed while it is open, over a connection of its own."""
    watch, since, stop = Watch(), uuid7(), threading.Event()

    def look() -> None:
        with connect() as connection:
            while not stop.wait(_LOOK_EVERY_SECONDS):
                ended = connection.run(_ENDED, since=since, terminal=sorted(TERMINAL_STATUSES)) or []
                for order_id, status in ended:
                    watch.ended.setdefault(order_id, Ended(time.time(), OrderStatus(status)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield watch
    finally:
        stop.set()
        looking.join()
