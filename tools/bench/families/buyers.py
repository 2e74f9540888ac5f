"""Twenty buyers of one product, which has less than they want: throughput, and the exact stock."""

from typing import Final

from orders.domain import OrderStatus
from orders.ids import uuid7
from tools.bench.run import Bench

_BUYERS: Final = 20
_ORDERS_EACH: Final = 10
_STOCK: Final = 150
_LONGEST_SECONDS: Final = 90


def measure(bench: Bench) -> None:
    cloud = bench.cloud
    product = cloud.add_product(uuid7(), _STOCK)
    with cloud.watch() as watch:
        posted = cloud.customers().at_once(_BUYERS, cloud.order(product=product), each=_ORDERS_EACH)
        watch.wait(posted, _LONGEST_SECONDS)
    confirmed = sum(watch.ended[each.order_id].status is OrderStatus.CONFIRMED for each in posted)
    available, reserved, sold = cloud.stock(product)
    wrong = abs(sold - _STOCK) + abs(confirmed - sold) + abs(available) + abs(reserved)
    bench.report.add(f"{_BUYERS} buyers of one product, drained", watch.rate(posted), "orders/s")
    bench.report.add(f"{_BUYERS} buyers of one product, units missing or too many", wrong, "units")
