"""Accepting an order: the handler with a real API Gateway event, against pgbench with the SQL that it sends."""

import tempfile
from pathlib import Path
from typing import Final

from tools.bench import pgbench, stats
from tools.bench.families.placing import place
from tools.bench.run import SMALLEST, Bench, Stocked
from tools.round_trips import RoundTripCounter

_LISTENED_TO: Final = 10
"""Requests of which pgbench learns what differs between them."""
_WARM_UP: Final = 100
_ROUNDS: Final = 15
_ORDERS_A_ROUND: Final = 100


def measure(bench: Bench) -> None:
    stocked = bench.stocked(SMALLEST)
    with tempfile.TemporaryDirectory() as directory:
        script = _listen(bench, stocked, Path(directory) / "create_order.sql")
        ours, floor = _race(bench, stocked, script)
    medians = [stats.p50(milliseconds) for milliseconds in ours]
    floors = [stats.p50(milliseconds) for milliseconds in floor]
    report = bench.report
    report.add("create_order p50", stats.p50(medians), "ms")
    report.add("create_order p95", stats.p95([time for times in ours for time in times]), "ms")
    report.add("pgbench p50, the same SQL", stats.p50(floors), "ms")
    report.add("create_order p50 / pgbench p50", stats.ratio(medians, floors), "×")


def _listen(bench: Bench, stocked: Stocked, path: Path) -> pgbench.Script:
    """Counts what one request says to Postgres, and makes pgbench say the same."""
    product = stocked.products[:1]
    with (
        RoundTripCounter.to(stocked.credentials) as counter,
        bench.worker("create_order", counter.credentials) as worker,
    ):
        place(worker, product, 1)
        requests = []
        for _ in range(_LISTENED_TO):
            with counter.listening() as one:
                place(worker, product, 1)
            requests.append(one.statements)
        with counter.listening() as largest:
            place(worker, stocked.products[:50], 1)
    bench.report.add("create_order round trips", one.round_trips, "trips")
    bench.report.add("create_order round trips, 50 lines", largest.round_trips, "trips")
    bench.report.add("create_order statements, without BEGIN and COMMIT", len(one.work), "statements")
    return pgbench.script(requests, path)


def _race(
    bench: Bench, stocked: Stocked, script: pgbench.Script
) -> tuple[list[list[float]], list[list[float]]]:
    """The milliseconds of our requests and of pgbench's transactions, in rounds that took turns."""
    ours, floor = [], []
    product = stocked.products[:1]
    with bench.worker("create_order", stocked.credentials) as worker:
        place(worker, product, _WARM_UP)
        for _ in range(_ROUNDS):
            ours.append(place(worker, product, _ORDERS_A_ROUND).milliseconds)
            floor.append(script.run(stocked.database, _ORDERS_A_ROUND))
    return ours, floor
