"""Orders under review: resumed to an end, or closed by hand if money and stock fit (promises I3, I5, I7, I12)."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from functions.operations import dependencies
from functions.operations.orders.review import Review
from orders.db import Database
from orders.errors import PaymentGatewayUnavailable
from orders.executions import Executions, ExecutionStatus
from orders.operator_actions import Operator
from tests.integration.maintenance.support import order_status
from tests.integration.operations.support import ADMIN, OPERATOR, Aws, Operations
from tests.integration.saga.conftest import pipeline, process, shared_credentials  # noqa: F401
from tests.integration.saga.pipeline import (
    CHAIN,
    CONFIRMED,
    FORWARD,
    REFUNDED,
    SOLD,
    Ending,
    Order,
    Pipeline,
    at_once,
)
from tests.support.api import Answer
from tests.support.asl import Fault, When
from tests.support.factories import EMAIL, PHONE, TRACE
from tests.support.webhooks import add_endpoint
from tests.support.written import recorded

NOTE = "refund was blocked by the provider's maintenance"
CANCELLED = Ending(
    "CANCELLED",
    "PROCESSING_FAILED",
    reservations=["RESTORED", "RESTORED"],
    payment="REFUNDED",
    ledger=REFUNDED,
    told=["order_cancelled"],
)


@pytest.fixture
def operations(
    pipeline: Pipeline,  # noqa: F811
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> Operations:
    """Operations beside the saga, on the same database and gateway. Who called before is not in this test's book."""
    pipeline.execute("TRUNCATE operator_actions")
    return Operations.deployed(pipeline.database, aws, monkeypatch, pipeline.gateway)


def stuck(pipeline: Pipeline, *compensations: str) -> Order:  # noqa: F811
    """An order that failed at its last step, and of which these compensations were given up."""
    order = pipeline.order()
    order.run(
        Fault("CompleteOrder", When.BEFORE),
        *(Fault(compensation, When.BEFORE) for compensation in compensations),
    )
    assert order.ending().status == "NEEDS_REVIEW"
    return order


def given_up(pipeline: Pipeline, before: str) -> Order:  # noqa: F811
    """An order whose executions kept dying before a step, until maintenance gave up."""
    order = pipeline.order()
    order.run_until(before)
    pipeline.execute(
        "UPDATE orders SET status = 'NEEDS_REVIEW', failure_reason = 'PROCESSING_FAILED' WHERE id = :id",
        id=order.order_id,
    )
    pipeline.execute(
        "INSERT INTO saga_recoveries (order_id, resumes, next_check_at) VALUES (:id, 20, now())",
        id=order.order_id,
    )
    return order


def resume(operations: Operations, order: Order, **body: Any) -> Answer:
    return operations.admin.post(f"{ADMIN}/orders/{order.order_id}/resume", body)


def close(operations: Operations, order: Order, status: str, **body: Any) -> Answer:
    return operations.admin.post(
        f"{ADMIN}/orders/{order.order_id}/close", {"status": status, "note": NOTE, **body}
    )


def report(operations: Operations, order: Order) -> Any:
    answer = operations.admin.get(f"{ADMIN}/orders/{order.order_id}")
    assert answer.status == 200
    return answer.json


@pytest.mark.parametrize("compensation", ["RestoreInventory", "RefundPayment", "SendCancellation"])
def test_a_resumed_order_tries_again_what_could_not_be_undone(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    compensation: str,
) -> None:
    order = stuck(pipeline, compensation)

    answer = resume(operations, order, note=NOTE)

    name = f"order-{order.order_id}-r1"
    assert answer.status == 202
    assert answer.json == {
        "orderId": str(order.order_id),
        "status": "PROCESSING",
        "execution": name,
        "started": True,
    }
    assert operations.step_functions.started == {name: "RUNNING"}
    assert order_status(pipeline.database, order.order_id) == "PROCESSING"
    assert order.run().visited == ["VerifyStock", *CHAIN]
    assert order.ending() == CANCELLED


def test_an_order_that_never_turned_back_is_resumed_to_its_confirmation(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = given_up(pipeline, "ConfirmReservation")

    assert resume(operations, order).json["execution"] == f"order-{order.order_id}-r21"

    assert order.run().visited == FORWARD
    assert order.ending() == CONFIRMED


def test_who_resumed_it_is_in_the_book_and_counted(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")

    with recorded() as written:
        resume(operations, order, note=NOTE)

    (action,) = operations.actions()
    assert (action["action"], action["operator"], action["note"]) == ("ORDER_RESUMED", OPERATOR, NOTE)
    assert action["order_id"] == order.order_id
    assert f"order-{order.order_id}-r1" in action["detail"]
    assert written.metrics == {"OperatorActions": 1}


def test_of_two_operators_one_resumes(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = stuck(pipeline, "RefundPayment")

    answers = [resume(operations, order), resume(operations, order)]

    assert [answer.status for answer in answers] == [202, 409]
    assert answers[1].json["type"].endswith("/order-not-in-review")
    assert "PROCESSING" in answers[1].json["detail"]
    assert len(operations.step_functions.started) == 1
    assert len(operations.actions()) == 1


class BothLookFirst(Executions):
    """Step Functions that answers two operators when both have asked: neither has moved the order by then."""

    def __init__(self, operations: Operations) -> None:
        known = operations.step_functions.executions
        super().__init__(known._client, known._state_machine_arn)
        self._both = threading.Barrier(2, timeout=10)

    def status(self, order_id: UUID, resumes: int = 0) -> ExecutionStatus:
        self._both.wait()
        return super().status(order_id, resumes)


def test_two_operators_at_the_same_moment_make_one_execution(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    process: Callable[[], Database],  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    executions = BothLookFirst(operations)
    reviews = [Review(process(), executions, pipeline.gateway) for _ in range(2)]
    operator = Operator("olivia", NOTE)

    outcomes = at_once(*(lambda review=review: review.resume(operator, order.order_id) for review in reviews))

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["OrderNotInReview", "Resumed"]
    assert len(operations.step_functions.started) == 1


class Meanwhile(Executions):
    """Step Functions during whose look something happens to the order."""

    def __init__(self, operations: Operations, happens: Callable[[], None]) -> None:
        known = operations.step_functions.executions
        super().__init__(known._client, known._state_machine_arn)
        self._happens = happens

    def status(self, order_id: UUID, resumes: int = 0) -> ExecutionStatus:
        found = super().status(order_id, resumes)
        self._happens()
        return found


@pytest.mark.parametrize("action", ["resume", "close"])
@pytest.mark.parametrize(
    "moved",
    [
        "updated_at = now()",
        "updated_at = updated_at - interval '1 second'",
        "status = 'PROCESSING', updated_at = now()",
        "status = 'PROCESSING'",
        "status = 'CANCELLED'",
    ],
    ids=["it came back", "its clock was set", "it was resumed", "it was resumed in no time", "it was closed"],
)
def test_an_order_that_moved_while_the_operator_looked_is_left_as_it_is(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    moved: str,
) -> None:
    order = pipeline.order()
    # Undone to its end but for the mark, so that nothing but the move speaks against the action.
    order.run(Fault("CompleteOrder", When.BEFORE), Fault("SendCancellation", When.BEFORE))
    operations.let_rest(order.order_id)
    rest = "SELECT status, updated_at FROM orders WHERE id = :id"

    def move() -> None:
        pipeline.execute(
            f"WITH operator AS (SELECT set_config('orders.operator', 'another', true)) "
            f"UPDATE orders SET {moved} FROM operator WHERE id = :id",
            id=order.order_id,
        )
        after.extend(pipeline.rows(rest, id=order.order_id))

    after: list[Any] = []
    executions = Meanwhile(operations, move)
    monkeypatch.setattr(dependencies, "executions", lambda: executions)

    answer = resume(operations, order) if action == "resume" else close(operations, order, "CANCELLED")

    # A closing looks once more before it locks anything, and an order that has just moved may still be at work.
    expected = "order-busy" if action == "close" and "now()" in moved else "order-not-in-review"
    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, expected)
    assert pipeline.rows(rest, id=order.order_id) == after
    assert operations.actions() == []
    assert not operations.step_functions.started


def test_an_order_that_somebody_still_works_on_is_neither_resumed_nor_closed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    operations.let_rest(order.order_id)
    operations.step_functions.executions.start(order.order_id, TRACE)

    for answer in (resume(operations, order), close(operations, order, "CANCELLED")):
        assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "order-busy")
        assert "RUNNING" in answer.json["detail"]
    assert order_status(pipeline.database, order.order_id) == "NEEDS_REVIEW"


def test_if_the_execution_does_not_start_maintenance_starts_it(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    operations.step_functions.executions.start(order.order_id, TRACE, resumes=1)
    operations.step_functions.end(order.order_id, ExecutionStatus.FAILED, resumes=1)

    answer = resume(operations, order)

    assert (answer.status, answer.json["started"]) == (202, False)
    (recovery,) = pipeline.rows(
        "SELECT resumes, next_check_at > now() AS is_later FROM saga_recoveries WHERE order_id = :id",
        id=order.order_id,
    )
    assert recovery == {"resumes": 1, "is_later": True}


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
def test_an_order_at_its_end_stays_there(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    status: str,
) -> None:
    order = pipeline.order()
    order.run(*([Fault("CompleteOrder", When.BEFORE)] if status == "CANCELLED" else []))
    before = order.ending()
    assert before.status == status

    for answer in (resume(operations, order), close(operations, order, "CANCELLED")):
        assert answer.status == 409
        assert status in answer.json["detail"]
    assert order.ending() == before
    assert operations.actions() == []


def test_an_order_whose_money_is_not_back_is_not_closed_as_cancelled(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    operations.let_rest(order.order_id)

    answer = close(operations, order, "CANCELLED")

    assert answer.status == 409
    assert answer.json["type"].endswith("/order-does-not-fit")
    assert "money not back: USD 65.00 captured, nothing refunded" in answer.json["detail"]
    assert order_status(pipeline.database, order.order_id) == "NEEDS_REVIEW"
    assert operations.actions() == []


def test_an_order_whose_stock_is_not_back_is_not_closed_as_cancelled(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RestoreInventory")
    operations.let_rest(order.order_id)

    answer = close(operations, order, "CANCELLED")

    assert answer.status == 409
    assert "stock not back: 2 × Coffee beans, 1 × Coffee beans sold" in answer.json["detail"]


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
def test_reserved_stock_is_never_left_on_a_closed_order(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    status: str,
) -> None:
    order = given_up(pipeline, "ProcessPayment")
    operations.let_rest(order.order_id)

    answer = close(operations, order, status)

    assert answer.status == 409
    assert "stock not back: 2 × Coffee beans, 1 × Coffee beans reserved" in answer.json["detail"]


@pytest.mark.parametrize("payment", ["PENDING", "UNKNOWN"])
def test_an_order_whose_payment_is_not_known_is_not_closed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    payment: str,
) -> None:
    order = stuck(pipeline, "RefundPayment")
    pipeline.execute(
        "UPDATE payments SET status = :status, captured = 0 WHERE order_id = :id",
        id=order.order_id,
        status=payment,
    )
    operations.let_rest(order.order_id)

    for status in ("CONFIRMED", "CANCELLED"):
        assert f"the payment is {payment}" in close(operations, order, status).json["detail"]


def test_what_the_gateway_says_counts_and_not_only_our_record(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    """A refund that was made there by hand, or one that we only believe in."""
    order = stuck(pipeline, "RefundPayment", "RestoreInventory")
    pipeline.gateway.refund(f"order-{order.order_id}")
    operations.let_rest(order.order_id)

    answer = close(operations, order, "CONFIRMED")

    assert answer.status == 409
    assert "the payment gateway says REFUNDED" in answer.json["detail"]
    assert report(operations, order)["actions"] == ["resume"]


def test_an_order_that_is_paid_and_sold_is_closed_as_confirmed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment", "RestoreInventory")
    operations.let_rest(order.order_id)
    assert report(operations, order)["actions"] == ["resume", "close as CONFIRMED"]

    answer = close(operations, order, "CONFIRMED")

    assert answer.json == {"orderId": str(order.order_id), "status": "CONFIRMED"}
    assert order.ending() == Ending(
        "CONFIRMED",
        stock=SOLD,
        reservations=["CONFIRMED", "CONFIRMED"],
        payment="CAPTURED",
        ledger=[("CAPTURE", 6500)],
        told=["order_cancelled", "order_confirmed"],
    )
    assert order.journal()["CompleteOrder"] == "SUCCEEDED"
    assert order.journal()["MarkCancelled"] == "COMPENSATED"
    (action,) = operations.actions()
    assert (action["action"], action["operator"], action["note"]) == ("ORDER_CLOSED", OPERATOR, NOTE)


@pytest.mark.parametrize("compensation", CHAIN)
def test_no_late_compensation_undoes_an_order_that_was_closed_as_confirmed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    compensation: str,
) -> None:
    order = stuck(pipeline, "RefundPayment", "RestoreInventory")
    operations.let_rest(order.order_id)
    close(operations, order, "CONFIRMED")
    before = order.ending()

    with pytest.raises(Exception, match="after the order was confirmed"):
        order.call(compensation)

    assert order.ending() == before


def test_an_order_that_is_undone_is_closed_as_cancelled_and_the_customer_told(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "SendCancellation")
    assert order.ending().told == []
    operations.let_rest(order.order_id)
    assert report(operations, order)["actions"] == ["resume", "close as CANCELLED"]

    answer = close(operations, order, "CANCELLED")

    assert answer.status == 200
    assert order.ending() == CANCELLED


@pytest.mark.parametrize("step", FORWARD)
def test_no_late_step_goes_on_with_an_order_that_was_closed_as_cancelled(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    step: str,
) -> None:
    order = given_up(pipeline, "ReserveInventory")
    operations.let_rest(order.order_id)
    assert close(operations, order, "CANCELLED").status == 200
    before = order.ending()
    assert before.told == ["order_cancelled"]

    with pytest.raises(Exception, match=r"turned back|closed|fenced|PENDING|payment"):
        order.call(step)

    after = order.ending()
    assert (after.status, after.stock, after.ledger) == (before.status, before.stock, before.ledger)
    # What a late ProcessPayment leaves is an intent, for maintenance to void.
    pipeline.execute("DELETE FROM payments WHERE order_id = :id", id=order.order_id)


@pytest.mark.parametrize(
    ("unfinished", "end"),
    [(("RefundPayment", "RestoreInventory"), "CONFIRMED"), (("SendCancellation",), "CANCELLED")],
)
def test_the_owner_s_webhooks_hear_of_both_ends_of_an_order_that_was_closed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    unfinished: tuple[str, ...],
    end: str,
) -> None:
    add_endpoint(pipeline.database)
    order = stuck(pipeline, *unfinished)
    operations.let_rest(order.order_id)

    assert close(operations, order, end).status == 200

    announced = pipeline.rows(
        "SELECT type, traceparent FROM outbox WHERE subject = :id AND type LIKE 'com.orders.order.%' ORDER BY id",
        id=order.order_id,
    )
    assert [event["type"] for event in announced] == [
        "com.orders.order.created.v1",
        "com.orders.order.review_required.v1",
        f"com.orders.order.{end.lower()}.v1",
    ]
    assert {event["traceparent"] for event in announced} == {TRACE.traceparent}
    pipeline.execute("DELETE FROM webhook_endpoints")


def test_a_closed_order_is_closed_once(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    order = stuck(pipeline, "SendCancellation")
    operations.let_rest(order.order_id)

    statuses = [close(operations, order, "CANCELLED").status for _ in range(2)]

    assert statuses == [200, 409]
    assert len(operations.actions()) == 1
    assert order.ending().told == ["order_cancelled"]


def test_an_order_is_not_closed_while_a_step_of_it_may_still_run(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "SendCancellation")

    answer = close(operations, order, "CANCELLED")

    assert answer.status == 409
    assert answer.json["type"].endswith("/order-busy")
    assert "try again in" in answer.json["detail"]
    assert 50 <= int(answer.headers["retry-after"]) <= 60


class GatewayAway:
    """A gateway that does not answer."""

    def find(self, key: str) -> None:
        raise PaymentGatewayUnavailable("away")


def test_without_the_gateway_s_word_nothing_is_closed(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = stuck(pipeline, "SendCancellation")
    operations.let_rest(order.order_id)
    monkeypatch.setattr(dependencies, "gateway", GatewayAway())

    answer = close(operations, order, "CANCELLED")

    assert answer.status == 503
    assert answer.json["type"].endswith("/payment-gateway-unavailable")
    assert report(operations, order)["gateway"] == {"status": "UNAVAILABLE"}
    assert report(operations, order)["actions"] == ["resume"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "CANCELLED"}, "#/note"),
        ({"status": "CANCELLED", "note": " " * 501}, "#/note"),
        ({"status": "PROCESSING", "note": NOTE}, "#/status"),
        ({"note": NOTE}, "#/status"),
        ({"status": "CANCELLED", "note": NOTE, "force": True}, "#/force"),
    ],
)
def test_a_closing_says_how_and_why(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
    body: dict[str, object],
    pointer: str,
) -> None:
    order = stuck(pipeline, "SendCancellation")
    operations.let_rest(order.order_id)

    answer = operations.admin.post(f"{ADMIN}/orders/{order.order_id}/close", body)

    assert (answer.status, answer.pointers) == (422, [pointer])


@pytest.mark.parametrize("order_id", [str(UUID(int=1)), "nobody"])
def test_an_unknown_order_is_not_found(operations: Operations, order_id: str) -> None:
    at = f"{ADMIN}/orders/{order_id}"
    answers = [
        operations.admin.get(at),
        operations.admin.get(f"{ADMIN}/sagas/{order_id}"),
        operations.admin.post(f"{at}/resume", {}),
        operations.admin.post(f"{at}/close", {"status": "CANCELLED", "note": NOTE}),
    ]

    assert {answer.status for answer in answers} == {404}
    assert {answer.json["type"].rpartition("/")[2] for answer in answers} == {"order-not-found"}


def test_orders_under_review_are_listed_oldest_first_page_by_page(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    orders = [str(stuck(pipeline, "SendCancellation").order_id) for _ in range(3)]
    pipeline.order().run()

    listed: list[str] = []
    cursor = ""
    while True:
        page = operations.admin.get(f"{ADMIN}/orders?status=NEEDS_REVIEW&sort=oldest&limit=2{cursor}").json
        assert len(page["items"]) <= 2
        assert {item["status"] for item in page["items"]} == {"NEEDS_REVIEW"}
        listed += [item["orderId"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"

    assert listed == sorted(listed)
    assert listed[-3:] == orders


def test_unfinished_orders_can_be_listed_too(operations: Operations, pipeline: Pipeline) -> None:  # noqa: F811
    pending, processing = pipeline.order(), pipeline.order()
    processing.run_until("ReserveInventory")

    for order, status in ((pending, "PENDING"), (processing, "PROCESSING")):
        listed = operations.admin.get(f"{ADMIN}/orders?status={status}").json["items"]
        assert str(order.order_id) in {item["orderId"] for item in listed}
        assert {item["status"] for item in listed} == {status}
    pipeline.execute("UPDATE orders SET updated_at = now() WHERE id = :id", id=pending.order_id)


@pytest.mark.parametrize(
    "query",
    [
        *("status=lost", "failureReason=lost", "sort=best", "limit=0", "limit=101", "cursor=x"),
        *("email=ada", "phone=123", "orderId=1", "productId=x", "from=yesterday", "to=1700000000"),
        *(
            "from=2026-11-24",
            "from=0001-01-01T00:00:00%2B14:00",
            "to=2026-13-01T00:00:00Z",
            "idempotencyKey=%20",
            "correlationId=short",
            "userId=1",
            "limit=1_0",
            "status=",
        ),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(operations: Operations, query: str) -> None:
    answer = operations.admin.get(f"{ADMIN}/orders?{query}")

    assert (answer.status, answer.pointers) == (422, [f"#/query/{query.partition('=')[0]}"])


def test_a_report_holds_everything_around_an_order_and_nothing_of_the_customer(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = stuck(pipeline, "RefundPayment")
    pipeline.execute(
        "UPDATE notifications SET status = 'UNCERTAIN', error = 'NoOutcomeRecorded' "
        "WHERE order_id = :id AND (type, channel) = ('order_cancelled', 'email')",
        id=order.order_id,
    )
    pipeline.execute(
        "INSERT INTO repairs (kind, order_id, detail) VALUES ('SAGA_RESUMED', :id, 'x=1')", id=order.order_id
    )
    operations.step_functions.executions.start(order.order_id, TRACE)
    operations.step_functions.end(order.order_id, ExecutionStatus.FAILED)

    told = report(operations, order)

    assert told["order"]["status"] == "NEEDS_REVIEW"
    assert told["order"]["payment"]["status"] == "CAPTURED"
    assert told["order"]["payment"]["captured"] == 6500
    assert told["gateway"] == {"status": "CAPTURED"}
    assert {step["name"] for step in told["order"]["steps"]} >= {"ProcessPayment", "MarkCancelled"}
    assert [line["quantity"] for line in told["order"]["items"]] == [2, 1]
    assert {reservation["status"] for reservation in told["order"]["reservations"]} == {"RESTORED"}
    assert {event["type"] for event in told["order"]["events"]} >= {
        "com.orders.order.created.v1",
        "com.orders.notification.requested.v1",
    }
    assert {
        (notification["type"], notification["channel"], notification["status"], notification["error"])
        for notification in told["order"]["notifications"]
    } >= {
        ("order_cancelled", "email", "UNCERTAIN", "NoOutcomeRecorded"),
        ("order_cancelled", "sms", "QUEUED", None),
    }
    assert told["order"]["repairs"][0]["kind"] == "SAGA_RESUMED"
    assert told["execution"]["name"] == f"order-{order.order_id}"
    assert told["execution"]["status"] == "FAILED"
    assert datetime.fromisoformat(told["execution"]["startedAt"]).tzinfo
    for secret in (EMAIL, PHONE, "pm_card_visa"):
        assert secret not in str(told)


def test_an_order_with_a_lost_execution_says_so(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    told = report(operations, pipeline.order())

    assert told["execution"]["status"] == "GONE"
    assert told["gateway"] is None
    assert told["actions"] == []


def test_the_executions_of_an_order_are_listed_newest_first_page_by_page(
    operations: Operations,
    pipeline: Pipeline,  # noqa: F811
) -> None:
    order = pipeline.order()
    for number in range(7):
        operations.step_functions.executions.start(order.order_id, TRACE, number)
    pipeline.execute(
        "INSERT INTO saga_recoveries (order_id, resumes, next_check_at) VALUES (:id, 6, now())",
        id=order.order_id,
    )

    first = operations.admin.get(f"{ADMIN}/sagas/{order.order_id}").json
    second = operations.admin.get(f"{ADMIN}/sagas/{order.order_id}?cursor={first['nextCursor']}").json

    names = [execution["name"] for execution in first["items"] + second["items"]]
    assert names == [*(f"order-{order.order_id}-r{n}" for n in range(6, 0, -1)), f"order-{order.order_id}"]
    assert second["nextCursor"] is None
