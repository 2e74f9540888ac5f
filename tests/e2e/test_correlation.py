"""One id, from the client's header through every function's log to the mail."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.e2e.conftest import Cloud
from tests.e2e.test_api import ORDER, Caller, await_end, request, tokens
from tools.audit import executions
from tools.cloud import aws

HEADER = "X-Correlation-Id"
PATIENCE_SECONDS = 30
LOGGED_BYTES = 6_000
"""Of one confirmed order, by all functions together."""

STEPS = {
    "verify-stock",
    "reserve-inventory",
    "process-payment",
    "confirm-reservation",
    "send-confirmation",
    "complete-order",
}
FUNCTIONS = {"create-order", "start-saga", "notify"} | STEPS


@pytest.fixture(scope="module")
def customer(running_cloud: Cloud) -> Caller:
    return Caller(running_cloud.stack["api_url"], tokens(running_cloud, "customer")["AccessToken"])


def ask(customer: Caller, method: str, path: str, body: Any = None, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {customer.token}", "Content-Type": "application/json", **headers}
    content = None if body is None else json.dumps(body).encode()
    return request(method, f"{customer.api_url}/api/v1{path}", content, sent)


def test_an_id_is_found_in_the_logs_of_every_function_that_worked_for_it(
    running_cloud: Cloud, customer: Caller
) -> None:
    correlation_id = f"e2e-{uuid4()}"
    headers = {HEADER: correlation_id, "Idempotency-Key": str(uuid4())}

    placed = ask(customer, "POST", "/orders", ORDER, **headers)
    assert placed.headers[HEADER] == correlation_id
    order_id = placed.body["orderId"]
    assert await_end(customer, order_id)["status"] == "CONFIRMED"

    arn = executions.execution_arn(running_cloud.stack["state_machine_arn"], order_id)
    execution = aws.sagas(running_cloud.settings).describe_execution(executionArn=arn)
    assert json.loads(execution["input"])["correlationId"] == correlation_id

    with running_cloud.engine.connect() as connection:
        events = connection.scalars(
            text("SELECT DISTINCT correlation_id FROM outbox WHERE subject = :order_id"),
            {"order_id": order_id},
        ).all()
    assert events == [correlation_id]

    await_true(lambda: functions_that_logged(running_cloud, correlation_id) >= FUNCTIONS)
    written = [
        line for function in FUNCTIONS for line in lines_about(running_cloud, function, correlation_id)
    ]
    assert len(written) == len(FUNCTIONS)
    assert sum(map(len, written)) <= LOGGED_BYTES, written


def functions_that_logged(running_cloud: Cloud, correlation_id: str) -> set[str]:
    """The functions with a line in their log groups whose `correlation_id` this is."""
    return {function for function in FUNCTIONS if lines_about(running_cloud, function, correlation_id)}


def lines_about(running_cloud: Cloud, function: str, correlation_id: str) -> list[str]:
    """What a function has logged with this `correlation_id`."""
    logs = aws.logs(running_cloud.settings)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/orders-local-{function}", filterPattern='"correlation_id"'
    )
    lines = [event["message"] for page in pages for event in page["events"]]
    return [
        line
        for line in lines
        if line.startswith("{") and json.loads(line).get("correlation_id") == correlation_id
    ]


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.5)


@pytest.mark.parametrize("bad", ["short", "x" * 65, "with space", "colon:colon", "ümlaut-umlaut"])
def test_an_id_that_could_not_stand_in_a_log_is_replaced(customer: Caller, bad: str) -> None:
    answer = ask(customer, "GET", "/products", **{HEADER: bad.encode().decode("latin-1")})
    assert answer.headers[HEADER] != bad
    assert len(answer.headers[HEADER]) == 36


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/products", 200),
        ("GET", "/orders/unknown", 404),
        ("GET", "/nothing/here", 404),
        ("DELETE", "/products", 405),
        ("POST", "/orders", 422),
        ("GET", "/admin/products", 403),
    ],
)
def test_every_answer_carries_the_id(customer: Caller, method: str, path: str, status: int) -> None:
    correlation_id = f"e2e-{uuid4()}"
    answer = ask(customer, method, path, {} if method == "POST" else None, **{HEADER: correlation_id})
    assert (answer.status, answer.headers[HEADER]) == (status, correlation_id)
    if status >= 400:
        assert answer.body["correlationId"] == correlation_id


def test_an_answer_without_news_carries_the_id_too(customer: Caller) -> None:
    order = customer.post(ORDER).body["orderId"]
    await_end(customer, order)
    known = customer.get(f"/orders/{order}/status").headers["ETag"]
    correlation_id = f"e2e-{uuid4()}"
    headers = {HEADER: correlation_id, "If-None-Match": known}
    answer = ask(customer, "GET", f"/orders/{order}/status", **headers)
    assert (answer.status, answer.headers[HEADER]) == (304, correlation_id)
