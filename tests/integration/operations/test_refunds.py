"""What an operator does about refunds: asks for one, has one tried again, takes one back."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.operations import dependencies
from functions.operations.refunds.desk import NewRefund, RefundDesk
from functions.read_orders import handler as read_orders
from orders import refunds
from orders.db import Credentials, Database
from orders.errors import PaymentGatewayUnavailable
from orders.executions import ExecutionStatus
from orders.ids import uuid7
from orders.operator_actions import Operator
from orders.payments.gateway import GatewayPayment
from payment_simulator.gateway import SimulatedGateway
from tests.integration.operations.support import ADMIN, OPERATOR, Aws, Operations
from tests.integration.refunds import support
from tests.integration.saga.pipeline import TOTAL, Order, Pipeline, at_once
from tests.support.api import Answer, Client
from tests.support.factories import ALICE, TRACE
from tests.support.payments import BEHAVIOUR


@pytest.fixture
def order(operations: Operations, monkeypatch: pytest.MonkeyPatch) -> Order:
    """An order that the saga has confirmed: two units at 12.50 and one at 40.00."""
    pipeline = Pipeline(operations.database, SimulatedGateway(operations.database, BEHAVIOUR))
    pipeline.deploy(monkeypatch)
    support.deploy(monkeypatch, pipeline.database, pipeline.gateway)
    order = pipeline.order()
    order.run()
    return order


def ask(operations: Operations, order: Order, key: str | None = None, **body: Any) -> Answer:
    """POST …/refunds with a reason."""
    return operations.admin.post(
        f"{ADMIN}/orders/{order.order_id}/refunds",
        {"reason": "arrived broken", **body},
        {"Idempotency-Key": key or uuid4().hex},
    )


def in_review(operations: Operations, order: Order, seconds: int = 3600) -> UUID:
    """A refund of 5.00 that needs review for so long, and whose execution has ended."""
    refund_id = support.grant(order, amount=500).refund_id
    operations.step_functions.refunds.start(refund_id, TRACE)
    operations.step_functions.end_refund(refund_id, ExecutionStatus.SUCCEEDED)
    order.pipeline.execute(
        "UPDATE refunds SET status = 'NEEDS_REVIEW', error = 'RefundRefused: closed', "
        "updated_at = now() - make_interval(secs => :seconds) WHERE id = :id",
        id=refund_id,
        seconds=seconds,
    )
    return refund_id


def act(operations: Operations, order: Order, refund_id: UUID, what: str) -> Answer:
    return operations.admin.post(
        f"{ADMIN}/orders/{order.order_id}/refunds/{refund_id}/{what}", {"note": "asked the provider"}
    )


def actions(order: Order) -> list[tuple[str, str, str, str]]:
    found = order.pipeline.rows(
        "SELECT * FROM operator_actions WHERE order_id = :id ORDER BY id", id=order.order_id
    )
    return [(row["action"], row["operator"], row["target"], row["note"]) for row in found]


def test_lines_are_refunded(operations: Operations, order: Order, capsys: pytest.CaptureFixture[str]) -> None:
    product_id = str(order.product_ids[0])
    answer = ask(operations, order, lines=[{"productId": product_id, "quantity": 1}], restock=True)

    assert answer.status == 202
    refund = answer.json
    assert (refund["amount"], refund["currency"], refund["status"]) == (1250, "USD", "REQUESTED")
    assert refund["lines"] == [{"productId": product_id, "quantity": 1}]
    assert (refund["origin"], refund["requestedBy"], refund["reason"]) == (
        "OPERATOR",
        OPERATOR,
        "arrived broken",
    )
    assert refund["restock"] is True
    assert actions(order) == [("REFUND_GRANTED", OPERATOR, refund["refundId"], "arrived broken")]
    assert '"RefundsGranted":[1.0]' in capsys.readouterr().out


def test_everything_that_is_left_is_refunded(operations: Operations, order: Order) -> None:
    ask(operations, order, amount=1000)

    assert ask(operations, order).json["amount"] == TOTAL - 1000
    refused = ask(operations, order)
    assert (refused.status, refused.json["type"].rpartition("/")[2]) == (409, "refund-exceeds-capture")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"amount": 5, "restock": True}, ["#/restock"]),
        ({"amount": 0}, ["#/amount"]),
        ({"amount": None}, ["#/amount"]),
        ({"lines": []}, ["#/lines"]),
        ({"lines": [{"productId": str(uuid7()), "quantity": 1}]}, ["#/lines/0/productId"]),
        ({"lines": [{"productId": "FIRST", "quantity": 1}, {"productId": "FIRST", "quantity": 1}]},
         ["#/lines/1/productId"]),
        ({"lines": [{"productId": "FIRST", "quantity": 1}], "amount": 5}, ["#/amount"]),
        ({"reason": " "}, ["#/reason"]),
        ({"reason": "x" * 501}, ["#/reason"]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(
    operations: Operations, order: Order, body: dict[str, Any], pointers: list[str]
) -> None:
    for line in body.get("lines") or ():
        line["productId"] = line["productId"].replace("FIRST", str(order.product_ids[0]))

    answer = ask(operations, order, **body)

    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == pointers
    assert support.refunds_of(order) == []


def test_more_units_than_were_sold_are_refused(operations: Operations, order: Order) -> None:
    answer = ask(operations, order, lines=[{"productId": str(order.product_ids[1]), "quantity": 2}])

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "refund-exceeds-sale")


def test_only_confirmed_orders_are_refunded(operations: Operations, order: Order) -> None:
    pending = order.pipeline.order()

    answer = ask(operations, pending)

    assert answer.status == 409
    assert "PENDING" in answer.json["detail"]
    assert ask(operations, Order(order.pipeline, uuid7(), [])).status == 404


def test_a_key_is_required(operations: Operations, order: Order) -> None:
    answer = operations.admin.post(f"{ADMIN}/orders/{order.order_id}/refunds", {"reason": "x"})

    assert answer.status == 422


def test_a_repeated_request_finds_its_refund(operations: Operations, order: Order) -> None:
    first = ask(operations, order, "key-one-1", amount=100)
    again = ask(operations, order, "key-one-1", amount=100)
    other = ask(operations, order, "key-one-1", amount=200)

    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert len(support.refunds_of(order)) == 1
    assert len(actions(order)) == 1


def test_a_refund_goes_on_in_the_trace_of_the_request_for_it(operations: Operations, order: Order) -> None:
    traceparent = TRACE.traceparent.replace("0af7", "1bf8")
    answer = operations.admin.post(
        f"{ADMIN}/orders/{order.order_id}/refunds",
        {"reason": "broken", "amount": 100},
        {"Idempotency-Key": "key-traced-1", "traceparent": traceparent},
    )

    assert answer.status == 202
    (event,) = order.pipeline.rows(
        "SELECT correlation_id, traceparent FROM outbox WHERE subject = :id AND type LIKE '%refund.requested%'",
        id=order.order_id,
    )
    assert event == {"correlation_id": TRACE.correlation_id, "traceparent": traceparent}


def test_many_requests_with_one_key_at_once_make_one_refund_of_everything(
    operations: Operations, order: Order, credentials: Credentials
) -> None:
    def desk() -> RefundDesk:
        database = Database(lambda: credentials)
        return RefundDesk(
            database, lambda: operations.step_functions.refunds, SimulatedGateway(database, BEHAVIOUR)
        )

    desks = [desk() for _ in range(8)]
    asked = NewRefund.model_validate({"reason": "broken"})
    outcomes = at_once(
        *(
            partial(each.grant, Operator(OPERATOR, asked.reason), "one-key", order.order_id, asked)
            for each in desks
        )
    )
    for each in desks:
        each.database.engine.dispose()

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [refund["amount"] for refund in support.refunds_of(order)] == [TOTAL]
    assert sum(not getattr(outcome, "replayed", True) for outcome in outcomes) == 1


def test_the_order_s_report_and_lists_show_refunds(operations: Operations, order: Order) -> None:
    refund = ask(operations, order, amount=100).json
    support.run(UUID(refund["refundId"]))

    report = operations.admin.get(f"{ADMIN}/orders/{order.order_id}").json["order"]
    listed = operations.admin.get(f"{ADMIN}/orders/{order.order_id}/refunds").json

    assert listed["items"] == report["refunds"]
    assert [each["status"] for each in report["refunds"]] == ["COMPLETED"]
    assert {each["refundId"] for each in report["notifications"] if each["type"] == "order_refunded"} == {
        refund["refundId"]
    }
    kinds = [event["type"] for event in report["events"]]
    assert kinds.count("com.orders.refund.requested.v1") == 1
    assert kinds.count("com.orders.payment.refunded.v1") == 1


def test_what_needs_review_is_listed_and_makes_health_degraded(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order)
    support.grant(order, amount=1)

    (listed,) = operations.admin.get(f"{ADMIN}/refunds").json["items"]
    health = operations.admin.get("/api/v1/health/detailed").json["refunds"]

    assert (listed["refundId"], listed["error"]) == (str(refund_id), "RefundRefused: closed")
    assert (health["status"], health["reason"]) == ("degraded", "1 refund under review")
    assert (health["requested"], health["needsReview"]) == (1, 1)
    assert len(operations.admin.get(f"{ADMIN}/refunds?status=REQUESTED").json["items"]) == 1


def test_a_refund_is_resumed_by_another_execution(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order)

    answer = act(operations, order, refund_id, "resume")

    assert answer.status == 202
    assert (answer.json["execution"], answer.json["started"]) == (f"refund-{refund_id}-r1", True)
    assert (answer.json["refund"]["status"], answer.json["refund"]["error"]) == ("REQUESTED", None)
    assert operations.step_functions.refunds.status(refund_id, 1) is ExecutionStatus.RUNNING
    assert actions(order)[-1][:3] == ("REFUND_RESUMED", OPERATOR, str(refund_id))
    support.run(refund_id)
    assert support.refunds_of(order)[0]["status"] == "COMPLETED"


def test_a_refund_that_was_not_given_back_is_rejected(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order)

    answer = act(operations, order, refund_id, "reject")

    assert (answer.status, answer.json["status"]) == (200, "REJECTED")
    assert actions(order)[-1] == ("REFUND_REJECTED", OPERATOR, str(refund_id), "asked the provider")
    assert ask(operations, order).json["amount"] == TOTAL


def test_what_the_provider_has_given_back_is_not_rejected(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order)
    order.pipeline.gateway.refund_part(f"order-{order.order_id}", f"refund-{refund_id}", 500)

    answer = act(operations, order, refund_id, "reject")

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "refund-given-back")
    assert support.refunds_of(order)[0]["status"] == "NEEDS_REVIEW"


def test_what_is_recorded_as_given_back_is_not_rejected(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order)
    order.pipeline.gateway.refund_part(f"order-{order.order_id}", f"refund-{refund_id}", 500)
    order.pipeline.database.transact(lambda connection: refunds.record_refunded(connection, refund_id, TRACE))
    order.pipeline.execute(
        "UPDATE refunds SET updated_at = now() - interval '1 hour' WHERE id = :id", id=refund_id
    )

    assert act(operations, order, refund_id, "reject").status == 409


class Silent(SimulatedGateway):
    def find(self, key: str) -> GatewayPayment | None:
        raise PaymentGatewayUnavailable("down")


def test_nothing_is_rejected_while_the_provider_does_not_answer(
    operations: Operations, order: Order, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund_id = in_review(operations, order)
    monkeypatch.setattr(dependencies, "gateway", Silent(operations.database, BEHAVIOUR))

    assert act(operations, order, refund_id, "reject").status == 503
    assert support.refunds_of(order)[0]["status"] == "NEEDS_REVIEW"


def test_a_step_may_still_run_just_after_the_review_began(operations: Operations, order: Order) -> None:
    refund_id = in_review(operations, order, seconds=10)

    answer = act(operations, order, refund_id, "reject")

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "refund-busy")
    assert 45 <= int(answer.headers["retry-after"]) <= 50


@pytest.mark.parametrize("what", ["resume", "reject"])
def test_a_refund_that_an_execution_works_on_is_left_alone(
    operations: Operations, order: Order, what: str
) -> None:
    refund_id = in_review(operations, order)
    operations.step_functions.end_refund(refund_id, ExecutionStatus.RUNNING)

    assert act(operations, order, refund_id, what).status == 409
    assert support.refunds_of(order)[0]["status"] == "NEEDS_REVIEW"


@pytest.mark.parametrize("what", ["resume", "reject"])
def test_only_a_refund_under_review_is_acted_on(operations: Operations, order: Order, what: str) -> None:
    refund_id = support.grant(order, amount=1).refund_id

    answer = act(operations, order, refund_id, what)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "refund-not-in-review")
    assert act(operations, order, uuid7(), what).status == 404
    assert act(operations, order.pipeline.order(), refund_id, what).status == 404


def test_the_owner_sees_the_refund_and_not_what_operators_say_of_it(
    operations: Operations, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_orders, "database", operations.database)
    alice = Client(read_orders.handler, user_id=ALICE)
    product_id = str(order.product_ids[0])
    done = ask(operations, order, lines=[{"productId": product_id, "quantity": 1}]).json
    support.run(UUID(done["refundId"]))
    on_its_way = ask(operations, order, amount=5).json

    seen = alice.get(f"/api/v1/orders/{order.order_id}")

    assert seen.json["status"] == "CONFIRMED"
    assert seen.json["refundedAmount"] == 1250
    first, second = seen.json["refunds"]
    assert first.keys() == {"refundId", "amount", "currency", "status", "lines", "createdAt", "completedAt"}
    assert (first["status"], first["lines"]) == ("COMPLETED", [{"productId": product_id, "quantity": 1}])
    assert first["completedAt"] >= first["createdAt"]
    assert (second["refundId"], second["status"], second["completedAt"]) == (
        on_its_way["refundId"],
        "REQUESTED",
        None,
    )
    assert "broken" not in str(seen.json)
    told = alice.get(f"/api/v1/orders/{order.order_id}/notifications").json["items"]
    assert [each["refundId"] for each in told if each["type"] == "order_refunded"] == [done["refundId"]] * 2
