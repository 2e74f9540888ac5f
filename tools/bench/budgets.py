"""What may cost how much: every budget of the system. The only place that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class AtMost:
    value: float

    def allows(self, measured: float) -> bool:
        return measured <= self.value

    def __str__(self) -> str:
        return f"≤ {self.value:g}"


@dataclass(frozen=True)
class AtLeast:
    value: float

    def allows(self, measured: float) -> bool:
        return measured >= self.value

    def __str__(self) -> str:
        return f"≥ {self.value:g}"


@dataclass(frozen=True)
class Budget:
    """The limit of one result."""

    name: str
    """The result's."""
    unit: str
    limit: AtMost | AtLeast
    family: str
    """The module under `tools/bench/families` that measures it."""


_ALL: Final = (
    Budget("cold import, slowest handler", "ms", AtMost(400), "cold_import"),
    Budget("create_order p50 / pgbench p50", "×", AtMost(3), "create_order"),
    Budget("create_order round trips", "trips", AtMost(13), "create_order"),
    Budget("create_order round trips, 50 lines", "trips", AtMost(13), "create_order"),
    Budget("create_order statements, without BEGIN and COMMIT", "statements", AtMost(3), "create_order"),
    Budget("six steps back to back", "orders/s", AtLeast(60), "saga"),
    Budget("published, 1 relay", "events/s", AtLeast(1000), "relay"),
    Budget("idle outbox, one poll, p50", "ms", AtMost(2), "relay"),
    Budget("drained outbox, one poll, p50", "ms", AtMost(2), "relay"),
    Budget("create_order, growth from 1,000 to 1,000,000 orders", "×", AtMost(1.3), "growth"),
    Budget("six steps, growth from 1,000 to 1,000,000 orders", "×", AtMost(1.3), "growth"),
    Budget("order status, growth from 1,000 to 1,000,000 orders", "×", AtMost(1.3), "growth"),
    Budget("claim and mark events, growth from 1,000 to 1,000,000 orders", "×", AtMost(1.3), "growth"),
    Budget("POST p95, 1 client", "ms", AtMost(20), "accepting"),
    Budget("accepted, 1 client", "orders/s", AtLeast(100), "accepting"),
    Budget("accepted, 8 clients", "orders/s", AtLeast(273), "accepting"),
    Budget("accepted, 32 clients", "orders/s", AtLeast(273), "accepting"),
    Budget("100 clients at once, answered with 202", "clients", AtLeast(100), "accepting"),
    Budget("commit → SQS p95, one at a time", "ms", AtMost(500), "fulfilment"),
    Budget("commit → SQS p95, 5 orders/s", "ms", AtMost(500), "fulfilment"),
    Budget("commit → SQS p95, 10 orders/s", "ms", AtMost(500), "fulfilment"),
    Budget("POST → CONFIRMED p95, one at a time", "s", AtMost(1), "fulfilment"),
    Budget("state transitions per confirmed order", "transitions", AtMost(9), "fulfilment"),
    Budget("drained, 200 at once, gateway 0 ms", "orders/s", AtLeast(41), "bursts"),
    Budget("drained, 200 at once, gateway 100–2000 ms, 80/15/5", "orders/s", AtLeast(6), "bursts"),
    Budget("20 buyers of one product, units missing or too many", "units", AtMost(0), "buyers"),
)

BUDGETS: Final[Mapping[str, Budget]] = {budget.name: budget for budget in _ALL}
