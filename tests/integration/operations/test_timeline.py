"""One order's story: everything that is recorded of it, in the order of time, and nothing of its customer."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from botocore.exceptions import EndpointConnectionError

from functions.operations import dependencies
from orders.executions import Executions, ExecutionStatus
from tests.integration.operations.support import ADMIN, Aws, Operations
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import Pipeline
from tests.support.factories import EMAIL, PHONE, TRACE
from tests.support.webhooks import add_endpoint

_BEGUN: Final = datetime(2026, 11, 27, 10, tzinfo=UTC)
HISTORY: Final = [
    {
        "type": kind,
        "timestamp": _BEGUN + timedelta(seconds=second),
        **({"stateEnteredEventDetails": {"name": detail}} if kind == "TaskStateEntered" else {}),
        **({"taskFailedEventDetails": {"error": detail}} if kind == "TaskFailed" else {}),
    }
    for second, (kind, detail) in enumerate(
        (
            ("TaskStateEntered", "VerifyStock"),
            ("TaskStateExited", ""),
            ("TaskStateEntered", "ReserveInventory"),
            ("TaskFailed", "DatabaseUnavailable"),
            ("TaskStateExited", ""),
            ("TaskStateEntered", "ProcessPayment"),
        )
    )
]


@pytest.fixture
def operations(
    pipeline: Pipeline,  # noqa: F811
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> Operations:
    return Operations.deployed(pipeline.database, aws, monkeypatch, pipeline.gateway)


def story(operations: Operations, order_id: object) -> list[dict[str, Any]]:
    answer = operations.admin.get(f"{ADMIN}/orders/{order_id}/timeline")
    assert answer.status == 200, answer.text
    assert answer.json["orderId"] == str(order_id)
    items: list[dict[str, Any]] = answer.json["items"]
    assert [item["time"] for item in items] == sorted(item["time"] for item in items)
    return items


def told(items: list[dict[str, Any]], kind: str) -> list[tuple[str, str]]:
    return [(item["title"], item["status"]) for item in items if item["kind"] == kind]


def test_a_confirmed_order_tells_its_way_from_request_to_message(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()

    items = story(operations, order.order_id)

    assert told(items, "order") == [("Order accepted", "CONFIRMED")]
    assert items[0]["kind"] == "order"
    assert items[0]["detail"]["items"][0]["quantity"]
    assert [title for title, _ in told(items, "step")] == [
        f"Step {name}"
        for name in (
            *("VerifyStock", "ReserveInventory", "ProcessPayment", "ConfirmReservation"),
            *("SendConfirmation", "CompleteOrder"),
        )
    ]
    assert {status for _, status in told(items, "step")} == {"SUCCEEDED"}
    assert told(items, "payment") == [("Payment", "CAPTURED")]
    assert {status for _, status in told(items, "stock")} == {"RESERVED", "CONFIRMED"}
    assert ("Event order.created", "PENDING") in told(items, "event")
    assert ("Event payment.captured", "PENDING") in told(items, "event")
    event = next(item["detail"] for item in items if item["kind"] == "event")
    assert (event["attempts"], event["publishedAt"]) == (0, None)
    assert told(items, "notification")


def test_a_failed_order_tells_what_was_undone(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order(payment_method="pm_card_declined")
    order.run()

    items = story(operations, order.order_id)

    assert told(items, "order") == [("Order accepted", "CANCELLED")]
    steps = dict(told(items, "step"))
    assert (steps["Step ProcessPayment"], steps["Step ReserveInventory"]) == ("FAILED", "COMPENSATED")
    assert (steps["Step ReleaseReservation"], steps["Step RefundPayment"]) == ("SUCCEEDED", "SKIPPED")
    assert {status for _, status in told(items, "stock")} == {"RESERVED", "RELEASED"}


def test_it_holds_what_came_after_the_order_too(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    order.run()
    endpoint = add_endpoint(pipeline.database)
    for statement in (
        "INSERT INTO webhook_deliveries (id, endpoint_id, event_id, event_type, order_id, body, status, attempts, "
        "last_status) VALUES (gen_random_uuid(), :endpoint, gen_random_uuid(), 'com.orders.order.confirmed.v1', :id, "
        "'body-canary', 'DELIVERED', 2, 204)",
        "INSERT INTO repairs (kind, order_id, detail) VALUES ('SAGA_RESUMED', :id, 'execution=2')",
        "INSERT INTO operator_actions (action, operator, target, order_id, note, detail) "
        "VALUES ('EVENT_REDRIVEN', 'olivia', 'x', :id, 'the queue is back', '')",
        "INSERT INTO payment_actions (order_id, type, client_secret, expires_at, task_token) "
        "VALUES (:id, 'redirect', 'secret-canary', now(), 'token-canary')",
        "INSERT INTO payment_disputes (provider_dispute_id, order_id, amount, currency, reason, status) "
        "VALUES ('dp_' || :id, :id, 1, 'USD', 'fraudulent', 'OPEN')",
        "INSERT INTO order_cancellations (order_id, requested_by) VALUES (:id, 'alice-4b1f')",
    ):
        parameters = {"endpoint": endpoint} if ":endpoint" in statement else {}
        pipeline.execute(
            statement.replace("'dp_' || :id", f"'dp_{order.order_id}'"), id=order.order_id, **parameters
        )
    granted = operations.admin.post(
        f"{ADMIN}/orders/{order.order_id}/refunds",
        {"amount": 100, "reason": "broken"},
        {"Idempotency-Key": "refund-1"},
    )
    assert granted.status == 202, granted.text

    items = story(operations, order.order_id)

    assert told(items, "webhook") == [("Webhook com.orders.order.confirmed.v1", "DELIVERED")]
    assert told(items, "repair") == [("Repaired by the system", "SAGA_RESUMED")]
    assert ("Operator's action", "EVENT_REDRIVEN") in told(items, "operator_action")
    assert told(items, "payment_action") == [("The customer must act on the payment: redirect", "OPEN")]
    assert told(items, "dispute") == [("Dispute", "OPEN")]
    assert told(items, "cancellation") == [("Cancellation requested", "REQUESTED")]
    assert told(items, "refund") == [("Refund requested", "REQUESTED")]
    assert ("Event refund.requested", "PENDING") in told(items, "event")
    (delivery,) = [item["detail"] for item in items if item["kind"] == "webhook"]
    assert (delivery["attempts"], delivery["lastStatus"], delivery["webhookId"]) == (2, 204, str(endpoint))
    assert "canary" not in str(items)


def test_its_executions_and_their_states_are_in_it(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = pipeline.order()
    operations.step_functions.executions.start(order.order_id, TRACE)
    monkeypatch.setattr(Executions, "history", lambda *_: HISTORY)
    operations.step_functions.end(order.order_id, ExecutionStatus.FAILED)

    items = story(operations, order.order_id)

    assert told(items, "execution") == [(f"Execution order-{order.order_id}", "FAILED")]
    assert told(items, "state") == [
        ("State VerifyStock", "PASSED"),
        ("State ReserveInventory", "PASSED_WITH_ERRORS"),
        ("State ProcessPayment", "FAILED"),
    ]
    pipeline.execute("UPDATE orders SET updated_at = now() WHERE id = :id", id=order.order_id)


def test_without_step_functions_the_rest_is_told(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent:
        def __getattr__(self, name: str) -> Any:
            raise EndpointConnectionError(endpoint_url="https://states.example")

    order = pipeline.order()
    order.run()
    assert operations.admin.get(f"{ADMIN}/orders/{order.order_id}/timeline").json["executionsKnown"] is True
    monkeypatch.setattr(dependencies, "executions", Silent)

    answer = operations.admin.get(f"{ADMIN}/orders/{order.order_id}/timeline")

    assert (answer.status, answer.json["executionsKnown"]) == (200, False)
    assert told(answer.json["items"], "step")


def test_it_says_nothing_of_the_customer(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order()
    order.run()

    written = str(story(operations, order.order_id))

    assert EMAIL not in written
    assert PHONE not in written
    assert "pm_card" not in written


@pytest.mark.parametrize("order_id", ["nothing", "01900000-0000-7000-8000-000000000001"])
def test_an_unknown_order_has_no_story(operations: Operations, order_id: str) -> None:
    answer = operations.admin.get(f"{ADMIN}/orders/{order_id}/timeline")

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "order-not-found")
