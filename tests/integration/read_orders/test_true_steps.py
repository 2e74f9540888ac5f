"""The list of steps says what happened, by the books: nothing was refunded that was not captured, and nothing is called
undone that is not."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from functions.operations.orders.records import read_records
from functions.read_orders import handler
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import Order, Pipeline, expire_a_reservation
from tests.support.api import Client
from tests.support.asl import Fault, When
from tools.audit.executions import Visit
from tools.cli.order_view import history_of, picture_of
from tools.client.orders_client import Progress


@pytest.fixture
def alice(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Client:  # noqa: F811
    monkeypatch.setattr(handler, "database", pipeline.database)
    return Client(handler.handler)


def declined(pipeline: Pipeline) -> Order:  # noqa: F811
    order = pipeline.order("pm_card_declined")
    order.run()
    return order


def failed_at_the_end(pipeline: Pipeline, *given_up: str) -> Order:  # noqa: F811
    order = pipeline.order()
    order.run(
        Fault("CompleteOrder", When.BEFORE), *(Fault(compensation, When.BEFORE) for compensation in given_up)
    )
    return order


def expired(pipeline: Pipeline) -> Order:  # noqa: F811
    order = pipeline.order()
    order.run_until("ConfirmReservation")
    expire_a_reservation(order)
    order.run()
    return order


CASES: dict[str, tuple[Callable[[Pipeline], Order], dict[str, str]]] = {
    "nothing was captured, so nothing was refunded": (
        declined,
        {
            "ReserveInventory": "COMPENSATED",
            "ProcessPayment": "FAILED",
            "RefundPayment": "SKIPPED",
            "ReleaseReservation": "SUCCEEDED",
            "MarkCancelled": "SUCCEEDED",
        },
    ),
    "all was undone": (
        failed_at_the_end,
        {
            "ReserveInventory": "COMPENSATED",
            "ProcessPayment": "COMPENSATED",
            "ConfirmReservation": "COMPENSATED",
            "RestoreInventory": "SUCCEEDED",
            "RefundPayment": "SUCCEEDED",
            "ReleaseReservation": "SKIPPED",
            "MarkCancelled": "SUCCEEDED",
        },
    ),
    "the money is not back": (
        lambda its: failed_at_the_end(its, "RefundPayment"),
        {
            "ProcessPayment": "SUCCEEDED",
            "ConfirmReservation": "COMPENSATED",
            "RestoreInventory": "SUCCEEDED",
            "MarkCancelled": "SKIPPED",
        },
    ),
    "the stock is not back": (
        lambda its: failed_at_the_end(its, "RestoreInventory"),
        {
            "ReserveInventory": "SUCCEEDED",
            "ConfirmReservation": "SUCCEEDED",
            "ProcessPayment": "COMPENSATED",
            "ReleaseReservation": "SKIPPED",
            "MarkCancelled": "SKIPPED",
        },
    ),
    "one reservation had expired by itself": (
        expired,
        {
            "ReserveInventory": "COMPENSATED",
            "ConfirmReservation": "FAILED",
            "RestoreInventory": "SKIPPED",
            "RefundPayment": "SUCCEEDED",
            "ReleaseReservation": "SUCCEEDED",
        },
    ),
}


@pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)
def test_customers_and_operators_read_the_same_true_steps(
    pipeline: Pipeline,  # noqa: F811
    alice: Client,
    make: Callable[[Pipeline], Order],
    expected: dict[str, str],
) -> None:
    order = make(pipeline)

    told = alice.get(f"/api/v1/orders/{order.order_id}/status").json["steps"]
    recorded = read_records(pipeline.database, order.order_id).steps

    for steps in (
        {step["name"]: step["status"] for step in told},
        {str(step.name): str(step.status) for step in recorded},
    ):
        assert {name: steps.get(name) for name in expected} == expected


def test_a_refund_that_failed_is_not_in_the_list(pipeline: Pipeline, alice: Client) -> None:  # noqa: F811
    order = failed_at_the_end(pipeline, "RefundPayment")

    told = alice.get(f"/api/v1/orders/{order.order_id}/status").json["steps"]

    assert "RefundPayment" not in {step["name"] for step in told}


def shown(renderable: Any) -> str:
    console = Console(width=120, file=StringIO(), record=True)
    console.print(renderable)
    return console.export_text()


def test_the_terminal_says_so_in_words(pipeline: Pipeline, alice: Client) -> None:  # noqa: F811
    order = declined(pipeline)
    progress = Progress.model_validate(alice.get(f"/api/v1/orders/{order.order_id}/status").json)

    lines = {
        line.split()[1]: line for line in shown(picture_of(progress)).splitlines() if len(line.split()) > 2
    }

    assert "✓" not in lines["RefundPayment"]
    assert "nothing to refund" in lines["RefundPayment"]
    assert lines["ReleaseReservation"].startswith("✓")


def test_nothing_is_said_to_be_done_then_undone_that_is_not(pipeline: Pipeline, alice: Client) -> None:  # noqa: F811
    order = failed_at_the_end(pipeline, "RestoreInventory", "RefundPayment")
    progress = Progress.model_validate(alice.get(f"/api/v1/orders/{order.order_id}/status").json)

    text = shown(picture_of(progress))

    # Only the confirmation was taken back: the customer was told of the cancellation.
    assert [line.split()[1] for line in text.splitlines() if "done, then undone" in line] == [
        "SendConfirmation"
    ]
    assert "not cancelled" in text


def test_the_history_of_an_execution_says_so_too() -> None:
    text = shown(
        history_of(
            [
                Visit("RefundPayment", succeeded=True, outcome="DECLINED"),
                Visit("MarkCancelled", succeeded=True, outcome="NEEDS_REVIEW"),
                Visit("ReleaseReservation", succeeded=True, outcome="RELEASED"),
            ]
        )
    )

    refund, end, release = text.splitlines()
    assert "✓" not in refund + end
    assert "nothing to refund" in refund
    assert "not cancelled" in end
    assert "✓" in release
