"""The read side, with a million orders in the tables."""

import random
from typing import Final

from tools.bench import events, stats, volume
from tools.bench.functions import Call
from tools.bench.run import LARGEST, Bench

_READS: Final = 300
_WARM_UP: Final = 30


def measure(bench: Bench) -> None:
    stocked = bench.stocked(LARGEST)
    numbers = [random.randint(1, stocked.orders) for _ in range(_WARM_UP + _READS)]
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
                f"{route} p50, {LARGEST:,} orders", stats.p50(read.milliseconds[_WARM_UP:]), "ms"
            )
            bench.report.add(
                f"{route} p95, {LARGEST:,} orders", stats.p95(read.milliseconds[_WARM_UP:]), "ms"
            )
