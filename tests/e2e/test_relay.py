"""Who keeps the relay alive: a deploy starts it once by hand, everything after that is the schedule's."""

import time

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, tokens
from tools.cloud import aws

RELAY = "orders-local-outbox-relay"


def test_orders_are_published_long_after_the_first_relay_has_ended(running_cloud: Cloud) -> None:
    timeout = aws.functions(running_cloud.settings).get_function_configuration(FunctionName=RELAY)["Timeout"]
    # The relay of the deploy cannot live longer than its timeout. Other tests have used up most of this time.
    time.sleep(max(0.0, running_cloud.up_since + timeout - time.monotonic()))
    customer = Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])
    placed = customer.post(ORDER)
    assert await_end(customer, placed.body["orderId"])["status"] == "CONFIRMED"
