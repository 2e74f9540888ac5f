"""What grows with the tables, and what with the order: the same work at 1k, 100k and 1M orders, and for orders of 1, 10
and 50 lines. All in alternating rounds."""

import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.outbox_relay.claims import Claims
from functions.outbox_relay.relay import CLAIM_LIMIT
from orders.db import Database
from tools.bench import events, stats, volume
from tools.bench.functions import Call, Worker, order_ids, place
from tools.bench.handlers import run_all
from tools.bench.run import LARGEST, SIZES, SMALLEST, Bench, Stocked

LINES: Final = (1, 10, 50)
CREATE, STEPS, READ, RELAY = PIPELINE = ("create_order", "six steps", "order status", "claim and mark events")
"""What happens to each order: the status is that of the orders of the round."""
LOOKUP: Final = "status of any order"
"""Mostly of one that Postgres has long put out of its memory: its cache is 128 MB, a million orders are 5 GB."""
WORK: Final = (*PIPELINE, LOOKUP)

_ROUNDS: Final = 12
_WARM_UP: Final = 2
"""More rounds, which do not count."""
_ORDERS_A_ROUND: Final = 25
_READS: Final = 2
"""Of each order's status."""


def at(work: str, *, orders: int = SMALLEST, lines: int = 1) -> str:
    """The name of a result."""
    return f"{work} p50, {orders:,} orders, {lines} line{'s' if lines > 1 else ''}"


def measure(bench: Bench) -> None:
    stocked = [bench.stocked(orders) for orders in SIZES]
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(_Probe.running(bench, each)) for each in stocked]
        medians = _measure(probes)
    for (work, orders, lines), milliseconds in sorted(
        medians.items(), key=lambda each: WORK.index(each[0][0])
    ):
        bench.report.add(at(work, orders=orders, lines=lines), stats.p50(milliseconds), "ms")
    for work in WORK:
        grown = stats.ratio(medians[work, LARGEST, 1], medians[work, SMALLEST, 1])
        bench.report.add(f"{work}, growth from {SMALLEST:,} to {LARGEST:,} orders", grown, "×")


def _measure(probes: list["_Probe"]) -> dict[tuple[str, int, int], list[float]]:
    """The medians of all rounds, by kind of work, orders in the tables and lines an order."""
    found: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    for number in range(_WARM_UP + _ROUNDS):
        # Whoever comes first in a round is not the same every time.
        for probe in probes if number % 2 else reversed(probes):
            for lines in LINES if probe.stocked.orders == SMALLEST else LINES[:1]:
                for work, milliseconds in probe.take(lines).items():
                    if number >= _WARM_UP:
                        found[work, probe.stocked.orders, lines].append(milliseconds)
    return found


@dataclass(frozen=True)
class _Probe:
    """Warm functions on a database, which do the same work round after round."""

    stocked: Stocked
    creator: Worker
    steps: Worker
    reader: Worker
    claims: Claims

    @classmethod
    @contextlib.contextmanager
    def running(cls, bench: Bench, stocked: Stocked) -> Iterator["_Probe"]:
        database = Database(lambda: stocked.credentials)
        with (
            bench.worker("create_order", stocked.credentials) as creator,
            bench.worker("saga_steps", stocked.credentials) as steps,
            bench.worker("read_orders", stocked.credentials) as reader,
        ):
            yield cls(stocked, creator, steps, reader, Claims(database))
        database.engine.dispose()

    def take(self, lines: int) -> dict[str, float]:
        """One round: the median milliseconds of each kind of work."""
        placed = place(self.creator, self.stocked.products[:lines], _ORDERS_A_ROUND)
        ids = order_ids(placed)
        taken = run_all(self.steps, ids)
        medians = {
            CREATE: stats.p50(placed.milliseconds),
            STEPS: stats.p50([sum(steps.values()) for steps in taken]),
        }
        relayed = self._relay()
        if lines == 1:
            medians[READ] = self._read([_status(order_id, events.USER) for order_id in ids * _READS])
            medians[LOOKUP] = self._read(self._lookups())
            medians[RELAY] = relayed
        return medians

    def _relay(self) -> float:
        """The milliseconds that the round's events take, but for sending them."""
        started = time.perf_counter()
        self.claims.mark_published(self.claims.claim(CLAIM_LIMIT))
        return 1000 * (time.perf_counter() - started)

    def _read(self, calls: list[Call]) -> float:
        return stats.p50(self.reader.invoke(calls).milliseconds)

    def _lookups(self) -> list[Call]:
        numbers = [random.randint(1, self.stocked.orders) for _ in range(_READS * _ORDERS_A_ROUND)]
        return [_status(volume.order_id(number), volume.user_of(number)) for number in numbers]


def _status(order_id: object, user_id: str) -> Call:
    return Call(events.get(f"/orders/{order_id}/status", user_id))
