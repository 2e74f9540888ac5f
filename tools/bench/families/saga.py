"""The saga's steps: what each says to Postgres and how long it takes, and all six back to back in one process."""

from typing import Final

from tools.bench import events, stats
from tools.bench.families.placing import order_ids, place
from tools.bench.functions import Call, Worker
from tools.bench.run import SMALLEST, Bench, Stocked
from tools.round_trips import RoundTripCounter

STEPS: Final = (
    "verify_stock",
    "reserve_inventory",
    "process_payment",
    "confirm_reservation",
    "send_confirmation",
    "complete_order",
)

_WARM_UP: Final = 30
_ORDERS: Final = 200
_LINES: Final = 2


def measure(bench: Bench) -> None:
    stocked = bench.stocked(SMALLEST)
    with bench.worker("create_order", stocked.credentials) as creator:
        placed = order_ids(place(creator, stocked.products[:_LINES], 2 + _WARM_UP + _ORDERS))
    _count(bench, stocked, placed[:2])
    with bench.worker("saga_steps", stocked.credentials) as steps:
        run_all(steps, placed[2 : 2 + _WARM_UP])
        times = run_all(steps, placed[2 + _WARM_UP :])
    for step in STEPS:
        bench.report.add(f"{step} p50", stats.p50([order[step] for order in times]), "ms")
    total_ms = sum(sum(order.values()) for order in times)
    bench.report.add("six steps back to back", 1000 * len(times) / total_ms, "orders/s")


def run_all(steps: Worker, orders: list[str]) -> list[dict[str, float]]:
    """Takes each order through the six steps; returns the milliseconds of each step, by order."""
    calls = [Call(events.saga_step(order_id), step) for order_id in orders for step in STEPS]
    milliseconds = iter(steps.invoke(calls).milliseconds)
    return [{step: next(milliseconds) for step in STEPS} for _ in orders]


def _count(bench: Bench, stocked: Stocked, orders: list[str]) -> None:
    """What each step says to Postgres for the second of two orders; the first is for connecting."""
    trips, statements = 0, 0
    with (
        RoundTripCounter.to(stocked.credentials) as counter,
        bench.worker("saga_steps", counter.credentials) as worker,
    ):
        run_all(worker, orders[:1])
        for step in STEPS:
            with counter.listening() as heard:
                worker.invoke([Call(events.saga_step(orders[1]), step)])
            bench.report.add(f"{step} round trips", heard.round_trips, "trips")
            bench.report.add(f"{step} statements, without BEGIN and COMMIT", len(heard.work), "statements")
            trips += heard.round_trips
            statements += len(heard.work)
    bench.report.add("six steps round trips", trips, "trips")
    bench.report.add("six steps statements, without BEGIN and COMMIT", statements, "statements")
