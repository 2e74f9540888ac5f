"""Many orders at once: how fast they are worked off, with a gateway that takes no time and with one like in life."""

from typing import Final

from orders.domain import OrderStatus
from tools.bench.run import Bench

_BURSTS: Final = (200, 300)
_CLIENTS: Final = 100
"""Who post them; more connections at once than this are too many for the emulator's HTTP server."""
_WARM_UP: Final = 200
_LATENCY_MS: Final = (100, 2000)
_LONGEST_SECONDS: Final = 90


def measure(bench: Bench) -> None:
    _burst(bench, _WARM_UP, "pm_card_visa")
    for orders in _BURSTS:
        name = f"drained, {orders} at once, gateway 0 ms"
        earlier = bench.cloud.spent()
        bench.report.add(name, _burst(bench, orders, "pm_card_visa"), "orders/s")
        (bench.cloud.spent() - earlier).write(bench.report, name, orders)
    bench.cloud.set_gateway_latency(*_LATENCY_MS)
    try:
        # Functions that are configured anew are cold again.
        _burst(bench, _WARM_UP, "pm_card_visa")
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
        posted = bench.cloud.customers().at_once(_CLIENTS, order, each=orders // _CLIENTS)
        watch.wait(posted, _LONGEST_SECONDS)
    reviewed = sum(watch.ended[each.order_id].status is OrderStatus.NEEDS_REVIEW for each in posted)
    if reviewed:
        raise RuntimeError(f"{reviewed} of {orders} orders need review")
    return watch.rate(posted)
