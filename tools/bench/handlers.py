"""The families that run handlers in processes of their own: their imports, the API's writes and reads, the saga.

Of several imports the quickest counts: nothing makes one quicker than it is, and much on a shared machine slower.
`create_order` is compared with pgbench, which runs the SQL that it sends.
"""

import random
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from infra.assets import function_directory, runtime_interpreter
from orders.db import Credentials
from tools.bench import events, pgbench, stats, volume
from tools.bench.functions import Call, Worker, order_ids, place
from tools.bench.run import LARGEST, SMALLEST, Bench, Stocked
from tools.round_trips import RoundTripCounter

STEPS: Final = (
    "verify_stock",
    "reserve_inventory",
    "process_payment",
    "confirm_reservation",
    "send_confirmation",
    "complete_order",
)

_IMPORT_ROUNDS: Final = 5
_NO_DATABASE: Final = Credentials(username="", password="", host="", port=0, dbname="")
"""An import connects to none."""
_IMPORT: Final = """
import sys, time
sys.path.insert(0, sys.argv[1])
started = time.perf_counter()
__import__(sys.argv[2])
print(1000 * (time.perf_counter() - started))
"""

_LISTENED_TO: Final = 10
"""Requests of which pgbench learns what differs between them."""
_WARM_UP: Final = 100
_ROUNDS: Final = 15
_ORDERS_A_ROUND: Final = 100

_SAGA_WARM_UP: Final = 30
_SAGAS: Final = 200
_LINES: Final = 2

_READS: Final = 300
_READ_WARM_UP: Final = 30


def cold_import(bench: Bench) -> None:
    """Every handler in the environment that it has on the local cloud, with byte code."""
    times: dict[str, list[float]] = {package: [] for package in bench.functions}
    for _ in range(_IMPORT_ROUNDS):
        for package, milliseconds in times.items():
            milliseconds.append(_import(bench, package))
    for package, milliseconds in times.items():
        bench.report.add(f"cold import of {package}", min(milliseconds), "ms")
    bench.report.add("cold import, slowest handler", max(map(min, times.values())), "ms")


def _import(bench: Bench, package: str) -> float:
    """The milliseconds that a new process takes to import the handler."""
    command = [str(runtime_interpreter()), "-c", _IMPORT, str(function_directory(package, "local"))]
    done = subprocess.run(
        [*command, f"functions.{package}.handler"],
        env=bench.environment(package, _NO_DATABASE),
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])


def create_order(bench: Bench) -> None:
    """Accepting an order: the handler with a real API Gateway event, against pgbench with the SQL that it sends."""
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


def saga(bench: Bench) -> None:
    """The saga's steps: what each sends to Postgres and how long it takes, and all six back to back in one process."""
    stocked = bench.stocked(SMALLEST)
    with bench.worker("create_order", stocked.credentials) as creator:
        placed = order_ids(place(creator, stocked.products[:_LINES], 2 + _SAGA_WARM_UP + _SAGAS))
    _count_saga(bench, stocked, placed[:2])
    with bench.worker("saga_steps", stocked.credentials) as steps:
        run_all(steps, placed[2 : 2 + _SAGA_WARM_UP])
        times = run_all(steps, placed[2 + _SAGA_WARM_UP :])
    for step in STEPS:
        bench.report.add(f"{step} p50", stats.p50([order[step] for order in times]), "ms")
    total_ms = sum(sum(order.values()) for order in times)
    bench.report.add("six steps back to back", 1000 * len(times) / total_ms, "orders/s")


def run_all(steps: Worker, orders: list[str]) -> list[dict[str, float]]:
    """Takes each order through the six steps; returns the milliseconds of each step, by order."""
    calls = [Call(events.saga_step(order_id), step) for order_id in orders for step in STEPS]
    milliseconds = iter(steps.invoke(calls).milliseconds)
    return [{step: next(milliseconds) for step in STEPS} for _ in orders]


def _count_saga(bench: Bench, stocked: Stocked, orders: list[str]) -> None:
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


def reads(bench: Bench) -> None:
    """The read side, with a million orders in the tables."""
    stocked = bench.stocked(LARGEST)
    numbers = [random.randint(1, stocked.orders) for _ in range(_READ_WARM_UP + _READS)]
    routes = {
        "GET /orders": [events.get("/orders", volume.user_of(number)) for number in numbers],
        "GET /orders/{id}": [
            events.get(f"/orders/{volume.order_id(number)}", volume.user_of(number)) for number in numbers
        ],
        "GET /orders/{id}/status": [
            events.get(f"/orders/{volume.order_id(number)}/status", volume.user_of(number))
            for number in numbers
        ],
        "GET /products": [events.get("/products") for _ in numbers],
        "GET /products/{id}": [
            events.get(f"/products/{stocked.products[number % len(stocked.products)]}") for number in numbers
        ],
    }
    with bench.worker("read_orders", stocked.credentials) as reader:
        for route, requests in routes.items():
            read = reader.invoke([Call(request) for request in requests])
            failed = [answer for answer in read.answers if answer["statusCode"] != 200]
            if failed:
                raise RuntimeError(f"{route} answered {failed[0]}")
            bench.report.add(
                f"{route} p50, {LARGEST:,} orders", stats.p50(read.milliseconds[_READ_WARM_UP:]), "ms"
            )
            bench.report.add(
                f"{route} p95, {LARGEST:,} orders", stats.p95(read.milliseconds[_READ_WARM_UP:]), "ms"
            )
