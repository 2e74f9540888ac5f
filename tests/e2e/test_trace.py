"""One trace, from the client's `traceparent` through every function's log to the mail and the webhook."""

import json
from typing import Any
from uuid import uuid4

from orders.tracing import new_traceparent, trace_id
from payment_simulator.webhooks import sign
from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Answer, Caller, await_end, request
from tests.e2e.test_correlation import FUNCTIONS, await_true
from tests.e2e.test_webhooks import PATIENCE_SECONDS, Subscriber, subscriber  # noqa: F401
from tests.support.webhooks import customer_server
from tools.cloud import aws
from tools.cloud.local_cloud import WEBHOOK_SECRET

LOGS = "/aws/lambda/orders-local-"
AFTER_THE_SAGA = {"payment-events", "inventory-events", "notify", "deliver-webhooks"}


def ask(caller: Caller, path: str, body: Any, traceparent: str) -> Answer:
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": str(uuid4()),
        "traceparent": traceparent,
    }
    if caller.token:
        headers["Authorization"] = f"Bearer {caller.token}"
    return request("POST", f"{caller.api_url}/api/v1{path}", json.dumps(body).encode(), headers)


def functions_that_logged(cloud: Cloud, traceparent: str) -> set[str]:
    """Those with a log line of this trace."""
    logs = aws.logs(cloud.settings)
    wanted = trace_id(traceparent)
    groups = [
        group["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=LOGS)
        for group in page["logGroups"]
    ]
    return {
        group.removeprefix(LOGS)
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern=f'"{wanted}"'
        )
        for event in page["events"]
        if event["message"].startswith("{") and json.loads(event["message"]).get("trace_id") == wanted
    }


def test_the_trace_of_a_request_is_in_the_log_of_every_function_that_its_order_went_through(
    running_cloud: Cloud,
    subscriber: Subscriber,  # noqa: F811
) -> None:
    ordered, cancelled = new_traceparent(), new_traceparent()
    with customer_server(200) as server:
        subscriber.register(server.url)
        order_id = ask(subscriber.caller, "/orders", ORDER, ordered).body["orderId"]
        assert await_end(subscriber.caller, order_id)["status"] == "CONFIRMED"
        server.wait_for(1, PATIENCE_SECONDS)
        expected = FUNCTIONS | AFTER_THE_SAGA
        await_true(lambda: functions_that_logged(running_cloud, ordered) >= expected)

        assert ask(subscriber.caller, f"/orders/{order_id}/cancellation", {}, cancelled).status == 202
        server.wait_for(2, PATIENCE_SECONDS)
        expected = {
            "cancel-order",
            "start-saga",
            "refund-steps",
            "payment-events",
            "notify",
            "deliver-webhooks",
        }
        await_true(lambda: functions_that_logged(running_cloud, cancelled) >= expected)


def test_the_provider_s_webhook_is_followed_by_its_own_trace(running_cloud: Cloud) -> None:
    traceparent = new_traceparent()
    event = {"id": str(uuid4()), "type": "payment.captured", "paymentId": str(uuid4())}
    body = json.dumps(event).encode()
    (secret, *_) = (
        aws.secrets(running_cloud.settings).get_secret_value(SecretId=WEBHOOK_SECRET)["SecretString"].split()
    )
    url = f"{running_cloud.stack['api_url']}/api/v1/webhooks/payments/simulator"

    taken = request("POST", url, body, {**sign(body, secret), "traceparent": traceparent})

    assert taken.status == 200
    expected = {"payment-webhooks", "provider-events"}
    await_true(lambda: functions_that_logged(running_cloud, traceparent) >= expected)
