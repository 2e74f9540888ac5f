"""The families that are measured on the deployed local cloud, through its API.

While `accepting` is measured, sagas wait: on a machine this small they would share its cores with the API, which they
do not on AWS. The relay works as always. What the API does while sagas run is measured as well, for the record.
"""

from typing import Final

from orders.domain import OrderStatus
from orders.ids import uuid7
from tools.bench import stats
from tools.bench.load import AcceptedOrder
from tools.bench.run import Bench

CLIENTS: Final = (1, 8, 32)
CROWD: Final = 100
RATES: Final = (5, 10)
"""Orders a second: ten times what 40,000 a day are, and twenty."""

_WARM_UP_SECONDS: Final = 8
_SECONDS: Final = 4
_ORDERS_ONE_BY_ONE: Final = 25
_STEADY_SECONDS: Final = 10
_DRAIN_SECONDS: Final = 60
_BURST_DRAIN_SECONDS: Final = 90

_BURSTS: Final = (200, 300)
_BURST_CLIENTS: Final = 100
"""More connections at once than this are too many for the emulator's HTTP server."""
_WARM_UP_ORDERS: Final = 200
_LATENCY_MS: Final = (100, 2000)

_BUYERS: Final = 20
_ORDERS_PER_BUYER: Final = 10
_STOCK: Final = 150


def accepted(clients: int) -> str:
    """The name of a result."""
    return f"accepted, {clients} client{'s' if clients > 1 else ''}"


def accepting(bench: Bench) -> None:
    """How long a POST takes, how many are accepted, and whether a crowd is served."""
    report, cloud = bench.report, bench.cloud
    customers, order = cloud.customers(), cloud.order()
    with cloud.without_sagas():
        # As many processes of the function as there will be clients.
        customers.busy(max(CLIENTS), _WARM_UP_SECONDS, order)
        for clients in CLIENTS:
            earlier = cloud.spent()
            posted = customers.busy(clients, _SECONDS, order)
            spent = cloud.spent() - earlier
            milliseconds = [1000 * each.seconds for each in posted]
            for rank in (50, 95, 99):
                name = f"POST p{rank}, {clients} client{'s' if clients > 1 else ''}"
                report.add(name, stats.percentile(milliseconds, rank), "ms")
            report.add(accepted(clients), len(posted) / _SECONDS, "orders/s")
            spent.write(report, accepted(clients), len(posted))
        crowd = customers.at_once(CROWD, order)
        report.add(f"{CROWD} clients at once, answered with 202", len(crowd), "clients")
        report.add(f"{CROWD} clients at once, slowest", 1000 * max(each.seconds for each in crowd), "ms")
        report.add(
            f"{CROWD} clients at once, told to try again", sum(each.refusals for each in crowd), "times"
        )
    with cloud.watch() as watch:
        posted = customers.busy(8, _SECONDS / 2, order)
        report.add("accepted, 8 clients, while sagas run", len(posted) / (_SECONDS / 2), "orders/s")
        watch.wait(posted, _DRAIN_SECONDS)


def fulfilment(bench: Bench) -> None:
    """From the POST to the end of the saga, one order at a time and at a steady rate; and what a saga costs on AWS."""
    cloud = bench.cloud
    customers, order = cloud.customers(), cloud.order()
    one_by_one: list[AcceptedOrder] = []
    with cloud.watch() as watch:
        for _ in range(_ORDERS_ONE_BY_ONE):
            posted = customers.at_once(1, order)
            watch.wait(posted, _DRAIN_SECONDS)
            one_by_one += posted
        _add_times(bench, "one at a time", one_by_one, watch.seconds(one_by_one))
        for rate in RATES:
            posted = customers.steady(rate, _STEADY_SECONDS, order)
            watch.wait(posted, _DRAIN_SECONDS)
            _add_times(bench, f"{rate} orders/s", posted, watch.seconds(posted))
    transitions = max(cloud.transitions(each.order_id) for each in one_by_one)
    bench.report.add("state transitions per confirmed order", transitions, "transitions")


def _add_times(bench: Bench, load: str, posted: list[AcceptedOrder], seconds: list[float]) -> None:
    if len(seconds) < len(posted):
        raise RuntimeError(f"{len(posted) - len(seconds)} of {len(posted)} orders were not confirmed")
    bench.report.add(f"commit → SQS p95, {load}", stats.p95(bench.cloud.lags_ms(posted)), "ms")
    bench.report.add(f"POST → CONFIRMED p50, {load}", stats.p50(seconds), "s")
    bench.report.add(f"POST → CONFIRMED p95, {load}", stats.p95(seconds), "s")


def bursts(bench: Bench) -> None:
    """Many orders at once: how fast they are worked off, with a gateway that takes no time and with a realistic one."""
    _burst(bench, _WARM_UP_ORDERS, "pm_card_visa")
    for orders in _BURSTS:
        name = f"drained, {orders} at once, gateway 0 ms"
        earlier = bench.cloud.spent()
        bench.report.add(name, _burst(bench, orders, "pm_card_visa"), "orders/s")
        (bench.cloud.spent() - earlier).write(bench.report, name, orders)
    bench.cloud.set_gateway_latency(*_LATENCY_MS)
    try:
        # Functions that are configured anew are cold again.
        _burst(bench, _WARM_UP_ORDERS, "pm_card_visa")
        # This payment method follows the gateway's rates: 80 % succeed, 15 % fail and are retried, 5 % are declined.
        rate = _burst(bench, _BURSTS[0], "pm_simulated")
    finally:
        bench.cloud.set_gateway_latency(0, 0)
    latency = "{}–{} ms".format(*_LATENCY_MS)
    bench.report.add(f"drained, {_BURSTS[0]} at once, gateway {latency}, 80/15/5", rate, "orders/s")


def _burst(bench: Bench, orders: int, payment_method: str) -> float:
    """Orders a second, from the first POST to the last end."""
    order = bench.cloud.order(payment_method)
    with bench.cloud.watch() as watch:
        posted = bench.cloud.customers().at_once(_BURST_CLIENTS, order, each=orders // _BURST_CLIENTS)
        watch.wait(posted, _BURST_DRAIN_SECONDS)
    reviewed = sum(watch.ended[each.order_id].status is OrderStatus.NEEDS_REVIEW for each in posted)
    if reviewed:
        raise RuntimeError(f"{reviewed} of {orders} orders need review")
    return watch.rate(posted)


def buyers(bench: Bench) -> None:
    """Twenty buyers of one product, which has less than they want: throughput, and the exact stock."""
    cloud = bench.cloud
    product = uuid7()
    with cloud.on_sale(product, _STOCK), cloud.watch() as watch:
        posted = cloud.customers().at_once(_BUYERS, cloud.order(product=product), each=_ORDERS_PER_BUYER)
        watch.wait(posted, _BURST_DRAIN_SECONDS)
    confirmed = sum(watch.ended[each.order_id].status is OrderStatus.CONFIRMED for each in posted)
    available, reserved, sold = cloud.stock(product)
    wrong = abs(sold - _STOCK) + abs(confirmed - sold) + abs(available) + abs(reserved)
    bench.report.add(f"{_BUYERS} buyers of one product, drained", watch.rate(posted), "orders/s")
    bench.report.add(f"{_BUYERS} buyers of one product, units missing or too many", wrong, "units")
