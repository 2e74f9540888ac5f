"""The API through the local cloud: how long a POST takes, how many are accepted, and whether a crowd is answered.

Sagas wait meanwhile: on a machine this small they would share its cores with the API, which they do not on AWS. The
relay works as always. What the API does while sagas run is measured as well, for the record.
"""

from typing import Final

from tools.bench import stats
from tools.bench.run import Bench

CLIENTS: Final = (1, 8, 32)
CROWD: Final = 100

_WARM_UP_SECONDS: Final = 8
_SECONDS: Final = 4
_DRAIN_SECONDS: Final = 60


def accepted(clients: int) -> str:
    """The name of a result."""
    return f"accepted, {clients} client{'s' if clients > 1 else ''}"


def measure(bench: Bench) -> None:
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
            name = f"POST {{}}, {clients} client{'s' if clients > 1 else ''}"
            report.add(name.format("p50"), stats.p50(milliseconds), "ms")
            report.add(name.format("p95"), stats.p95(milliseconds), "ms")
            report.add(name.format("p99"), stats.p99(milliseconds), "ms")
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
