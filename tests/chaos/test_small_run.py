"""A small run of what `make chaos` does."""

import pytest

from tools.chaos import plan
from tools.chaos.plan import Fault
from tools.chaos.run import run
from tools.cloud import local_cloud
from tools.cloud.local_cloud import Sandbox

SEED = 1
ORDERS = 40
# A lease of a minute, and five deliveries 25 seconds apart: they have tests of their own, with less to wait for.
TOO_SLOW = {Fault.KILL_RELAY, Fault.POISON_MESSAGE}

pytestmark = pytest.mark.timeout(600)


def test_no_promise_is_broken_and_every_fault_strikes(breakable_cloud: Sandbox) -> None:
    settings = breakable_cloud.settings
    planned = plan.make(SEED, ORDERS, set(Fault) - TOO_SLOW)
    try:
        report = run(settings, local_cloud.up(settings, print), planned, print)
    finally:
        local_cloud.down(settings, print)
    assert report.failures == ()
    assert sum(report.statuses.values()) == ORDERS + len(planned.warm_up)
