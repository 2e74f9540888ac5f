"""What may cost how much: every budget of the system. The only place that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Budget:
    """The limit of one result."""

    name: str
    """The result's."""
    unit: str
    limit: float
    family: str
    """The one of `tools.bench.__main__.FAMILIES` that measures it."""
    is_minimum: bool = False
    """Whether the limit is the least that the result may be, instead of the most."""

    def allows(self, measured: float) -> bool:
        return measured >= self.limit if self.is_minimum else measured <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_minimum else '≤'} {self.limit:g}"


_ALL: Final = (
    Budget("cold import, slowest handler", "ms", 400, "cold_import"),
    Budget("create_order p50 / pgbench p50", "×", 3, "create_order"),
    Budget("create_order round trips", "trips", 13, "create_order"),
    Budget("create_order round trips, 50 lines", "trips", 13, "create_order"),
    Budget("create_order statements, without BEGIN and COMMIT", "statements", 3, "create_order"),
    Budget("six steps back to back", "orders/s", 60, "saga", is_minimum=True),
    Budget("published, 1 relay", "events/s", 1000, "relay", is_minimum=True),
    Budget("idle outbox, one poll, p50", "ms", 2, "relay"),
    Budget("drained outbox, one poll, p50", "ms", 2, "relay"),
    Budget("create_order, growth from 1,000 to 1,000,000 orders", "×", 1.3, "growth"),
    Budget("six steps, growth from 1,000 to 1,000,000 orders", "×", 1.3, "growth"),
    Budget("order status, growth from 1,000 to 1,000,000 orders", "×", 1.3, "growth"),
    Budget("claim and mark events, growth from 1,000 to 1,000,000 orders", "×", 1.3, "growth"),
    Budget("POST p95, 1 client", "ms", 20, "accepting"),
    Budget("accepted, 1 client", "orders/s", 100, "accepting", is_minimum=True),
    Budget("accepted, 8 clients", "orders/s", 273, "accepting", is_minimum=True),
    Budget("accepted, 32 clients", "orders/s", 273, "accepting", is_minimum=True),
    Budget("100 clients at once, answered with 202", "clients", 100, "accepting", is_minimum=True),
    Budget("commit → SQS p95, one at a time", "ms", 500, "fulfilment"),
    Budget("commit → SQS p95, 5 orders/s", "ms", 500, "fulfilment"),
    Budget("commit → SQS p95, 10 orders/s", "ms", 500, "fulfilment"),
    Budget("POST → CONFIRMED p95, one at a time", "s", 1, "fulfilment"),
    Budget("state transitions per confirmed order", "transitions", 9, "fulfilment"),
    Budget("drained, 200 at once, gateway 0 ms", "orders/s", 41, "bursts", is_minimum=True),
    Budget("drained, 200 at once, gateway 100–2000 ms, 80/15/5", "orders/s", 6, "bursts", is_minimum=True),
    Budget("20 buyers of one product, units missing or too many", "units", 0, "buyers"),
)

BUDGETS: Final[Mapping[str, Budget]] = {budget.name: budget for budget in _ALL}
