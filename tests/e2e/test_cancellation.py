"""A customer changes their mind: over HTTP, before the order's end and after it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, PATIENCE_SECONDS, Answer, Caller, await_end, request, tokens

CUSTOMERS = 8
"""As many processes of the function start for them at once. tests/integration/cancel_order has twenty."""


@pytest.fixture(scope="module")
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


def cancel(caller: Caller, order_id: str) -> Answer:
    url = f"{caller.api_url}/api/v1/orders/{order_id}/cancellation"
    return request("POST", url, b"", {"Authorization": f"Bearer {caller.token}"})


def test_many_requests_at_once_cancel_an_order_that_is_under_way(customer: Caller) -> None:
    # The gateway is down for this card: the order stays on its way.
    order_id = customer.post(ORDER | {"paymentMethod": "pm_card_down"}).body["orderId"]

    with ThreadPoolExecutor(CUSTOMERS) as crowd:
        answers = list(crowd.map(lambda _: cancel(customer, order_id), range(CUSTOMERS)))

    assert {answer.status for answer in answers} == {202}
    assert len({(answer.body["outcome"], answer.body["requestedAt"]) for answer in answers}) == 1
    end = await_end(customer, order_id)
    assert (end["status"], end["failureReason"]) == ("CANCELLED", "CANCELLATION_REQUESTED")
    told = customer.get(f"/orders/{order_id}/notifications").body["items"]
    assert {message["type"] for message in told} == {"cancellation_confirmed"}


def test_a_confirmed_order_is_refunded(customer: Caller) -> None:
    placed = customer.post(ORDER)
    order_id = placed.body["orderId"]
    assert await_end(customer, order_id)["status"] == "CONFIRMED"
    assert customer.get(f"/orders/{order_id}").body["cancellation"]["possible"]

    answer = cancel(customer, order_id)

    assert (answer.status, answer.body["outcome"]) == (202, "REFUNDING")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        order = customer.get(f"/orders/{order_id}").body
        if [refund["status"] for refund in order["refunds"]] == ["COMPLETED"]:
            break
        assert time.monotonic() < deadline, order["refunds"]
        time.sleep(0.1)
    assert order["status"] == "CONFIRMED"
    assert order["refundedAmount"] == placed.body["totalAmount"]
    assert order["cancellation"]["refundId"] == order["refunds"][0]["refundId"]
    assert not order["cancellation"]["possible"]
