"""From the POST to the end of the saga, one order at a time and at a steady rate; and what a saga costs on AWS."""

from typing import Final

from tools.bench import stats
from tools.bench.load import AcceptedOrder
from tools.bench.run import Bench

RATES: Final = (5, 10)
"""Orders a second: ten times what 40,000 a day are, and twenty."""

_ORDERS_ONE_BY_ONE: Final = 25
_STEADY_SECONDS: Final = 10
_LONGEST_SECONDS: Final = 60


def measure(bench: Bench) -> None:
    cloud = bench.cloud
    customers, order = cloud.customers(), cloud.order()
    one_by_one: list[AcceptedOrder] = []
    with cloud.watch() as watch:
        for _ in range(_ORDERS_ONE_BY_ONE):
            posted = customers.at_once(1, order)
            watch.wait(posted, _LONGEST_SECONDS)
            one_by_one += posted
        _report(bench, "one at a time", one_by_one, watch.seconds(one_by_one))
        for rate in RATES:
            posted = customers.steady(rate, _STEADY_SECONDS, order)
            watch.wait(posted, _LONGEST_SECONDS)
            _report(bench, f"{rate} orders/s", posted, watch.seconds(posted))
    transitions = max(cloud.transitions(each.order_id) for each in one_by_one)
    bench.report.add("state transitions per confirmed order", transitions, "transitions")


def _report(bench: Bench, load: str, posted: list[AcceptedOrder], seconds: list[float]) -> None:
    if len(seconds) < len(posted):
        raise RuntimeError(f"{len(posted) - len(seconds)} of {len(posted)} orders were not confirmed")
    bench.report.add(f"commit → SQS p95, {load}", stats.p95(bench.cloud.lags_ms(posted)), "ms")
    bench.report.add(f"POST → CONFIRMED p50, {load}", stats.p50(seconds), "s")
    bench.report.add(f"POST → CONFIRMED p95, {load}", stats.p95(seconds), "s")
