"""A review says why, in words with numbers: what is not back, what is known of the money, and what to do first."""

import json
from typing import Any

import pytest

from functions.operations import dependencies
from orders.db import Database
from orders.errors import PaymentGatewayUnavailable
from orders.executions import ExecutionStatus
from tests.integration.cancel_order.cancelling import cancel
from tests.integration.operations.support import Aws, Operations
from tests.integration.operations.test_review import GatewayAway, close, given_up, report, resume, stuck
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import Order, Pipeline
from tests.support.asl import Fault, When
from tests.support.factories import ALICE, TRACE


@pytest.fixture
def operations(
    pipeline: Pipeline,  # noqa: F811
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> Operations:
    pipeline.execute("TRUNCATE operator_actions")
    return Operations.deployed(pipeline.database, aws, monkeypatch, pipeline.gateway)


def name_products(database: Database, order: Order) -> None:
    for product_id, name in zip(order.product_ids, ("Headphones", "Mouse [/]"), strict=True):
        order.pipeline.execute(
            "UPDATE order_items SET product_name = :name WHERE product_id = :id", name=name, id=product_id
        )


def review(operations: Operations, order: Order) -> Any:
    """The advice, for an order that has rested."""
    name_products(operations.database, order)
    operations.let_rest(order.order_id)
    return report(operations, order)["review"]


def texts(advice: Any) -> list[str]:
    return [reason["text"] for reason in advice["reasons"]]


def test_reserved_stock_and_no_money(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = given_up(pipeline, "ProcessPayment")

    advice = review(operations, order)

    assert texts(advice) == [
        "stock not back: 2 × Headphones, 1 × Mouse [/] reserved",
        "money: nothing captured",
        "executions: none of 21 came to an end, the last one is GONE",
    ]
    assert advice["suggested"] == "resume"
    assert advice["reasons"][0] == {
        "code": "STOCK_RESERVED",
        "text": "stock not back: 2 × Headphones, 1 × Mouse [/] reserved",
        "blocks": ["CONFIRMED", "CANCELLED"],
        "lines": [
            {"productId": str(order.product_ids[0]), "name": "Headphones", "quantity": 2},
            {"productId": str(order.product_ids[1]), "name": "Mouse [/]", "quantity": 1},
        ],
        "amount": None,
    }


@pytest.mark.parametrize(
    ("unfinished", "expected"),
    [
        (
            ("RestoreInventory",),
            [
                "stock not back: 2 × Headphones, 1 × Mouse [/] sold",
                "money: USD 65.00 captured and refunded",
            ],
        ),
        (
            ("RefundPayment",),
            [
                "stock: nothing reserved, nothing sold",
                "money not back: USD 65.00 captured, nothing refunded",
            ],
        ),
        (
            ("RefundPayment", "RestoreInventory"),
            [
                "stock not back: 2 × Headphones, 1 × Mouse [/] sold",
                "money not back: USD 65.00 captured, nothing refunded",
            ],
        ),
        (
            ("SendCancellation",),
            [
                "stock: nothing reserved, nothing sold",
                "money: USD 65.00 captured and refunded",
                "customer: not told that the order was not completed",
            ],
        ),
    ],
)
def test_what_could_not_be_undone(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    unfinished: tuple[str, ...],
    expected: list[str],
) -> None:
    advice = review(operations, stuck(pipeline, *unfinished))

    assert texts(advice) == expected
    assert advice["suggested"] == "resume"


def test_money_that_nobody_knows_of(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = stuck(pipeline, "RefundPayment")
    pipeline.execute(
        "UPDATE payments SET status = 'UNKNOWN', captured = 0 WHERE order_id = :id", id=order.order_id
    )

    assert texts(review(operations, order))[1:] == [
        "money: the payment is UNKNOWN: nobody knows yet whether it was captured",
        "money: the payment gateway says CAPTURED",
    ]


def test_a_payment_whose_customer_has_to_act(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order("pm_card_requires_action")
    order.run()
    gone = PaymentGatewayUnavailable.__name__
    order.call("SendCancellation", gone)
    order.call("MarkCancelled", gone, RefundPayment=gone)

    advice = review(operations, order)

    assert texts(advice)[:2] == [
        "stock not back: 2 × Headphones, 1 × Mouse [/] reserved",
        "money: the customer has to act, and can be charged until the order is resumed and undone",
    ]
    assert advice["reasons"][1]["blocks"] == ["CONFIRMED", "CANCELLED"]
    assert "GATEWAY_DISAGREES" not in [reason["code"] for reason in advice["reasons"]]
    assert advice["suggested"] == "resume"
    told = json.dumps(report(operations, order))
    (action,) = pipeline.rows("SELECT * FROM payment_actions WHERE order_id = :id", id=order.order_id)
    assert action["client_secret"] not in told
    assert action["task_token"] not in told


def test_the_gateway_says_something_else(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    """Never turned back, the saga would confirm the order by our record."""
    order = given_up(pipeline, "CompleteOrder")
    pipeline.gateway.refund(f"order-{order.order_id}")

    advice = review(operations, order)

    assert "money: the payment gateway says REFUNDED" in texts(advice)
    assert advice["suggested"] == "ask the payment provider"
    pipeline.execute(
        "UPDATE payments SET status = 'REFUNDED', refunded = captured WHERE order_id = :id", id=order.order_id
    )


def test_a_gateway_that_does_not_answer_is_waited_for(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = stuck(pipeline, "RefundPayment")
    monkeypatch.setattr(dependencies, "gateway", GatewayAway())

    advice = review(operations, order)

    assert "money: the payment gateway does not answer, and its record counts" in texts(advice)
    assert advice["suggested"] == "wait"


def test_an_execution_at_work_is_waited_for(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = stuck(pipeline, "RefundPayment")
    operations.step_functions.executions.start(order.order_id, TRACE)

    advice = review(operations, order)

    assert "an execution is at work on the order: it is RUNNING" in texts(advice)
    assert advice["suggested"] == "wait"


def test_what_was_resumed_in_vain_and_fits_is_closed(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = stuck(pipeline, "SendCancellation")
    resume(operations, order)
    operations.step_functions.end(order.order_id, ExecutionStatus.FAILED, resumes=1)
    pipeline.execute("UPDATE orders SET status = 'NEEDS_REVIEW' WHERE id = :id", id=order.order_id)

    assert review(operations, order)["suggested"] == "close as CANCELLED"


def test_what_the_customer_has_asked_for_is_told_and_preferred(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    """It could be confirmed: nothing of it is undone. But its customer has cancelled it."""
    order = pipeline.order()
    order.run_until("CompleteOrder")
    cancel(order)
    faults = [Fault(step, When.BEFORE) for step in ("RefundPayment", "RestoreInventory")]
    order.run(*faults)
    resume(operations, order)
    operations.step_functions.end(order.order_id, ExecutionStatus.FAILED, resumes=1)
    order.run(*faults)

    told = report(operations, order)
    advice = review(operations, order)

    assert told["order"]["failureReason"] == "CANCELLATION_REQUESTED"
    assert told["order"]["cancellation"]["requestedBy"] == ALICE
    assert any(text.startswith("customer: asked for the cancellation at 2") for text in texts(advice))
    assert "close as CONFIRMED" in report(operations, order)["actions"]
    assert advice["suggested"] == "resume"


def test_an_order_that_came_under_review_just_now_may_still_be_worked_on(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    told = report(operations, stuck(pipeline, "SendCancellation"))

    assert told["actions"] == ["resume"]
    assert told["review"]["reasons"][-2]["code"] == "STEP_MAY_RUN"


def test_an_order_that_is_not_under_review_has_no_advice(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = pipeline.order()
    order.run()

    assert report(operations, order)["review"] is None


class TestClosingIsRefusedForTheReasonThatIsTrue:
    def test_stock_is_named_at_once_and_not_after_a_minute_of_waiting(
        self,
        operations: Operations,
        pipeline: Pipeline,  # noqa: F811
    ) -> None:
        order = stuck(pipeline, "RestoreInventory")

        answer = close(operations, order, "CANCELLED")

        assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "order-does-not-fit")
        assert "stock not back: 2 × Coffee beans" in answer.json["detail"]
        assert "a step of the order may still be running" in answer.json["detail"]

    def test_stock_is_named_also_while_the_gateway_does_not_answer(
        self,
        operations: Operations,
        pipeline: Pipeline,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        order = stuck(pipeline, "RestoreInventory")
        operations.let_rest(order.order_id)
        monkeypatch.setattr(dependencies, "gateway", GatewayAway())

        answer = close(operations, order, "CANCELLED")

        assert answer.status == 409
        assert "stock not back" in answer.json["detail"]
        assert "the payment gateway does not answer" in answer.json["detail"]

    def test_every_reason_is_named(self, operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
        order = stuck(pipeline, "RefundPayment", "RestoreInventory")
        operations.let_rest(order.order_id)

        detail = close(operations, order, "CANCELLED").json["detail"]

        assert "sold" in detail
        assert "USD 65.00 captured" in detail

    @pytest.mark.parametrize(
        ("unfinished", "wrong", "right"),
        [
            (("SendCancellation",), "CONFIRMED", "CANCELLED"),
            (("RefundPayment", "RestoreInventory"), "CANCELLED", "CONFIRMED"),
        ],
    )
    def test_the_wrong_end_is_told_the_right_one(
        self,
        operations: Operations,
        pipeline: Pipeline,  # noqa: F811
        unfinished: tuple[str, ...],
        wrong: str,
        right: str,
    ) -> None:
        order = stuck(pipeline, *unfinished)
        operations.let_rest(order.order_id)

        assert close(operations, order, wrong).json["detail"].endswith(f"It can be closed as {right}")
        assert close(operations, order, right).status == 200

    def test_an_order_on_its_way_is_not_said_to_be_anything_else(
        self,
        operations: Operations,
        pipeline: Pipeline,  # noqa: F811
    ) -> None:
        order = pipeline.order()
        order.run_until("ProcessPayment")

        answer = close(operations, order, "CANCELLED")

        assert answer.json["type"].endswith("/order-not-in-review")
        assert answer.json["detail"] == "The order is PROCESSING"
        pipeline.execute("UPDATE orders SET updated_at = now() WHERE id = :id", id=order.order_id)
