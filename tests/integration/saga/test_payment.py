"""The money: captured at most once, given back exactly as far as it was taken, whoever dies or is late in between."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import text

from functions.saga_steps import payment
from orders.db import Database
from orders.errors import PaymentGatewayTimeout, PaymentGatewayUnavailable, StepFenced
from orders.payments.gateway import Charge, GatewayDispute, GatewayPayment, GatewayRefund, PaymentGateway
from payment_simulator.gateway import SimulatedGateway
from tests.integration.saga.pipeline import (
    CAPTURED,
    CONFIRMED,
    FORWARD,
    REFUNDED,
    TOTAL,
    Order,
    Pipeline,
    at_once,
    wait_until_somebody_waits_for_a_lock,
)
from tests.support.asl import Fault, When
from tests.support.factories import TRACE
from tests.support.payments import BEHAVIOUR

T = TypeVar("T")


class Killed(Exception):
    """The process died here."""


class Wire:
    """The way to a gateway, on which things happen just before or after a call arrives."""

    def __init__(
        self,
        gateway: PaymentGateway,
        *,
        before: Mapping[str, Callable[[], object]] | None = None,
        after: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._gateway = gateway
        self._before = before or {}
        self._after = after or {}
        self.calls: list[str] = []

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        return self._pass("capture", lambda: self._gateway.capture(key, charge))

    def find(self, key: str) -> GatewayPayment | None:
        return self._pass("find", lambda: self._gateway.find(key))

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        return self._pass("void", lambda: self._gateway.void(key, charge))

    def refund(self, key: str) -> GatewayPayment:
        return self._pass("refund", lambda: self._gateway.refund(key))

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        return self._pass("refund_part", lambda: self._gateway.refund_part(key, refund_key, amount))

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        return self._pass("find_refunds", lambda: self._gateway.find_refunds(key))

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        return self._pass("find_disputes", lambda: self._gateway.find_disputes(key))

    def _pass(self, name: str, call: Callable[[], T]) -> T:
        self.calls.append(name)
        self._before.get(name, _nothing)()
        answer = call()
        self._after.get(name, _nothing)()
        return answer


def _nothing() -> None:
    """Happens on the way."""


def die() -> None:
    raise Killed


def at_payment(pipeline: Pipeline, payment_method: str = "pm_card_visa") -> Order:
    """An order whose stock is held and whose payment comes next."""
    order = pipeline.order(payment_method)
    order.run_until("ProcessPayment")
    return order


def finish(order: Order) -> None:
    """The saga again from its first step, as a redriven execution would: what is done already stays done."""
    assert order.run().visited == FORWARD


def payment_row(order: Order) -> dict[str, object]:
    (row,) = order.pipeline.rows("SELECT * FROM payments WHERE order_id = :order_id", order_id=order.order_id)
    return row


def test_a_capture_is_recorded_with_its_amount_and_the_provider_s_id(pipeline: Pipeline) -> None:
    order = at_payment(pipeline)

    order.call("ProcessPayment")

    row = payment_row(order)
    (record,) = pipeline.rows("SELECT * FROM gateway.payments WHERE key = :key", key=row["provider_key"])
    assert row["provider_key"] == f"order-{order.order_id}"
    assert (row["status"], row["captured"], row["refunded"]) == ("CAPTURED", TOTAL, 0)
    assert row["provider_payment_id"] == str(record["payment_id"])


def test_a_charge_that_times_out_is_found_and_captured_once(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_timeout")

    execution = order.run()

    assert execution.errors == [("ProcessPayment", "PaymentGatewayUnavailable")]
    assert order.gateway_attempts() == 1
    assert payment_row(order)["attempts"] == 2
    assert order.ending() == CONFIRMED


def test_a_charge_that_times_out_leaves_the_payment_unknown(pipeline: Pipeline) -> None:
    order = at_payment(pipeline, "pm_card_timeout")

    with pytest.raises(PaymentGatewayUnavailable) as caught:
        order.call("ProcessPayment")

    assert type(caught.value) is PaymentGatewayUnavailable
    assert order.ending().payment == "UNKNOWN"
    assert order.ending().ledger == CAPTURED
    finish(order)


def test_a_charge_of_unknown_outcome_is_found_and_refunded(pipeline: Pipeline) -> None:
    order = at_payment(pipeline, "pm_card_timeout")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    wire = Wire(pipeline.gateway)

    assert payment.refund(pipeline.database, wire, order.order_id, TRACE) == "REFUNDED"

    assert wire.calls == ["find", "refund"]
    assert order.ending().ledger == REFUNDED


def test_a_flaky_gateway_costs_two_retries(pipeline: Pipeline) -> None:
    order = pipeline.order("pm_card_flaky")

    execution = order.run()

    assert execution.attempts["ProcessPayment"] == order.gateway_attempts() == 3
    assert order.ending() == CONFIRMED


def test_a_gateway_that_stays_down_is_asked_four_times_and_then_told_to_take_no_more(
    pipeline: Pipeline,
) -> None:
    order = pipeline.order("pm_card_down")

    execution = order.run()

    assert execution.attempts["ProcessPayment"] == order.gateway_attempts() == 4
    (record,) = pipeline.rows(
        "SELECT status FROM gateway.payments WHERE key = :key", key=f"order-{order.order_id}"
    )
    assert record["status"] == "VOIDED"
    assert order.ending().reason == "PAYMENT_UNAVAILABLE"


@pytest.mark.parametrize(
    ("payment_method", "error"),
    [("pm_card_declined", "PaymentDeclined"), ("pm_card_fraud", "FraudSuspected")],
)
def test_a_refused_payment_is_never_tried_again(pipeline: Pipeline, payment_method: str, error: str) -> None:
    order = pipeline.order(payment_method)

    execution = order.run()

    assert execution.errors == [("ProcessPayment", error)]
    assert order.gateway_attempts() == 1


@pytest.mark.parametrize(
    ("payment_method", "error"),
    [("pm_card_declined", "PaymentDeclined"), ("pm_card_fraud", "FraudSuspected")],
)
def test_a_repeated_call_is_refused_the_same_without_asking_the_gateway(
    pipeline: Pipeline, payment_method: str, error: str
) -> None:
    order = at_payment(pipeline, payment_method)
    raised = []

    for _ in range(2):
        with pytest.raises(Exception, match=r".") as caught:
            order.call("ProcessPayment")
        raised.append(type(caught.value).__name__)

    assert raised == [error, error]
    assert order.gateway_attempts() == 1
    assert order.ending().payment == "DECLINED"


def test_an_amount_above_the_threshold_is_suspected_fraud(pipeline: Pipeline) -> None:
    order = pipeline.order()
    pipeline.execute(
        "UPDATE orders SET total_amount = :total WHERE id = :order_id",
        total=BEHAVIOUR.gateway_fraud_threshold + 1,
        order_id=order.order_id,
    )

    order.run()

    assert order.ending().reason == "FRAUD_SUSPECTED"


def test_a_repeated_charge_asks_the_gateway_nothing(pipeline: Pipeline) -> None:
    order = at_payment(pipeline)
    order.call("ProcessPayment")
    wire = Wire(pipeline.gateway)

    assert payment.process(pipeline.database, wire, order.order_id, TRACE) == "CAPTURED"

    assert wire.calls == []


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param({"before": {"capture": die}}, id="before the capture"),
        pytest.param({"after": {"capture": die}}, id="after the capture"),
    ],
)
def test_a_process_killed_while_charging_charges_once(
    pipeline: Pipeline, wire: dict[str, dict[str, Callable[[], object]]]
) -> None:
    order = at_payment(pipeline)
    with pytest.raises(Killed):
        payment.process(pipeline.database, Wire(pipeline.gateway, **wire), order.order_id, TRACE)
    assert order.ending().payment == "PENDING"

    finish(order)

    assert order.ending() == CONFIRMED
    assert order.gateway_attempts() == 1


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param({"before": {"capture": die}}, id="before the capture"),
        pytest.param({"after": {"capture": die}}, id="after the capture"),
    ],
)
def test_what_a_process_killed_while_charging_took_is_given_back(
    pipeline: Pipeline, wire: dict[str, dict[str, Callable[[], object]]]
) -> None:
    order = at_payment(pipeline)
    with pytest.raises(Killed):
        payment.process(pipeline.database, Wire(pipeline.gateway, **wire), order.order_id, TRACE)

    execution = order.run(Fault("ProcessPayment", When.BEFORE))

    assert execution.visited[-1] == "MarkCancelled"
    assert order.ending().status == "CANCELLED"
    assert order.ending().ledger == (REFUNDED if "after" in wire else [])
    assert order.ending().payment == ("REFUNDED" if "after" in wire else "VOIDED")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["find", "refund"])
def test_a_process_killed_while_refunding_refunds_once(pipeline: Pipeline, call: str, when: str) -> None:
    order = at_payment(pipeline)
    order.call("ProcessPayment")
    wire = Wire(pipeline.gateway, **{when: {call: die}})
    with pytest.raises(Killed):
        payment.refund(pipeline.database, wire, order.order_id, TRACE)

    assert order.call("RefundPayment")["outcome"] == "REFUNDED"

    row = payment_row(order)
    assert (row["status"], row["captured"], row["refunded"]) == ("REFUNDED", TOTAL, TOTAL)
    assert order.ending().ledger == REFUNDED


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["find", "void"])
def test_a_process_killed_while_voiding_leaves_the_rest_to_the_next(
    pipeline: Pipeline, call: str, when: str
) -> None:
    order = at_payment(pipeline, "pm_card_down")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    wire = Wire(pipeline.gateway, **{when: {call: die}})
    with pytest.raises(Killed):
        payment.refund(pipeline.database, wire, order.order_id, TRACE)

    assert order.call("RefundPayment")["outcome"] == "VOIDED"

    assert order.ending().ledger == []


def test_a_charge_that_reaches_the_gateway_after_the_refund_is_refused_there(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline)
    other = process()
    wire = Wire(
        pipeline.gateway,
        before={"capture": lambda: payment.refund(other, pipeline.gateway, order.order_id, TRACE)},
    )

    with pytest.raises(StepFenced):
        payment.process(pipeline.database, wire, order.order_id, TRACE)

    assert order.ending().ledger == []
    assert order.ending().payment == "VOIDED"
    assert order.journal()["ProcessPayment"] == "FENCED"


def test_a_charge_that_is_refunded_before_it_is_recorded_is_not_recorded(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline)
    other = process()
    wire = Wire(
        pipeline.gateway,
        after={"capture": lambda: payment.refund(other, pipeline.gateway, order.order_id, TRACE)},
    )

    with pytest.raises(StepFenced):
        payment.process(pipeline.database, wire, order.order_id, TRACE)

    assert order.ending().ledger == REFUNDED
    assert order.ending().payment == "REFUNDED"
    assert order.journal()["ProcessPayment"] == "FENCED"


def test_a_decline_that_comes_after_the_refund_leaves_the_fence_standing(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline, "pm_card_declined")
    other = process()

    def decline_and_refund() -> None:
        with contextlib.suppress(Exception):
            pipeline.gateway.capture(f"order-{order.order_id}", Charge(TOTAL, "USD", "pm_card_declined"))
        payment.refund(other, pipeline.gateway, order.order_id, TRACE)

    with pytest.raises(Exception, match="declined"):
        payment.process(
            pipeline.database,
            Wire(pipeline.gateway, before={"capture": decline_and_refund}),
            order.order_id,
            TRACE,
        )

    assert order.ending().payment == "DECLINED"
    assert order.journal()["ProcessPayment"] == "FENCED"


def test_a_charge_that_is_quicker_than_the_void_is_refunded(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline, "pm_card_flaky")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    late = SimulatedGateway(process(), BEHAVIOUR)
    charge = Charge(TOTAL, "USD", "pm_card_visa")
    wire = Wire(pipeline.gateway, before={"void": lambda: late.capture(f"order-{order.order_id}", charge)})

    assert payment.refund(pipeline.database, wire, order.order_id, TRACE) == "REFUNDED"

    assert wire.calls == ["find", "void", "refund"]
    assert order.ending().ledger == REFUNDED


def test_while_a_refund_is_still_failing_a_late_charge_does_not_reach_the_gateway(pipeline: Pipeline) -> None:
    order = at_payment(pipeline, "pm_card_flaky")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    with pytest.raises(Killed):
        payment.refund(pipeline.database, Wire(pipeline.gateway, before={"find": die}), order.order_id, TRACE)
    wire = Wire(pipeline.gateway)

    with pytest.raises(StepFenced):
        payment.process(pipeline.database, wire, order.order_id, TRACE)

    assert wire.calls == []


def test_a_refund_without_an_intent_asks_nobody_and_bars_the_charge(pipeline: Pipeline) -> None:
    order = at_payment(pipeline)
    wire = Wire(pipeline.gateway)

    assert payment.refund(pipeline.database, wire, order.order_id, TRACE) == "VOIDED"
    with pytest.raises(StepFenced):
        payment.process(pipeline.database, wire, order.order_id, TRACE)

    assert wire.calls == []


def test_a_refund_of_a_declined_payment_asks_nobody(pipeline: Pipeline) -> None:
    order = at_payment(pipeline, "pm_card_declined")
    with pytest.raises(Exception, match="declined"):
        order.call("ProcessPayment")
    wire = Wire(pipeline.gateway)

    assert payment.refund(pipeline.database, wire, order.order_id, TRACE) == "DECLINED"

    assert wire.calls == []


def test_a_payment_that_somebody_gave_back_at_the_gateway_is_not_taken_for_captured(
    pipeline: Pipeline,
) -> None:
    order = at_payment(pipeline)
    with pytest.raises(Killed):
        payment.process(
            pipeline.database, Wire(pipeline.gateway, after={"capture": die}), order.order_id, TRACE
        )
    pipeline.gateway.refund(f"order-{order.order_id}")

    execution = order.run()

    assert execution.errors == [("ProcessPayment", "StepFenced")]
    assert order.ending().status == "CANCELLED"
    assert order.ending().ledger == REFUNDED


def settle(order: Order, status: str) -> None:
    """What reconciliation does: it brings our record in line with the gateway's, and knows nothing of steps."""
    order.pipeline.execute(
        "UPDATE payments SET status = :status, captured = CASE WHEN :status IN ('CAPTURED', 'REFUNDED') "
        "THEN amount ELSE 0 END, refunded = CASE WHEN :status = 'REFUNDED' THEN amount ELSE 0 END "
        "WHERE order_id = :order_id",
        status=status,
        order_id=order.order_id,
    )


def test_a_capture_that_was_settled_meanwhile_is_the_step_s_success(pipeline: Pipeline) -> None:
    order = at_payment(pipeline, "pm_card_timeout")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    settle(order, "CAPTURED")
    wire = Wire(pipeline.gateway)

    assert payment.process(pipeline.database, wire, order.order_id, TRACE) == "CAPTURED"

    assert wire.calls == []
    finish(order)
    assert order.ending() == CONFIRMED


@pytest.mark.parametrize("status", ["VOIDED", "REFUNDED", "DECLINED"])
def test_a_payment_that_was_closed_meanwhile_is_no_success(pipeline: Pipeline, status: str) -> None:
    order = at_payment(pipeline, "pm_card_flaky")
    with pytest.raises(PaymentGatewayUnavailable):
        order.call("ProcessPayment")
    settle(order, status)

    with pytest.raises(StepFenced):
        order.call("ProcessPayment")

    assert "ProcessPayment" not in order.journal()
    assert order.ending().ledger == []


def test_two_charges_at_once_capture_once(pipeline: Pipeline, process: Callable[[], Database]) -> None:
    databases = process(), process()
    gateways = [SimulatedGateway(database, BEHAVIOUR) for database in databases]

    for _ in range(10):
        order = at_payment(pipeline)

        outcomes = at_once(
            partial(payment.process, databases[0], gateways[0], order.order_id, TRACE),
            partial(payment.process, databases[1], gateways[1], order.order_id, TRACE),
        )

        assert outcomes == ["CAPTURED", "CAPTURED"]
        assert order.ending().ledger == CAPTURED


def test_a_charge_and_a_refund_at_once_leave_the_customer_with_their_money(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    databases = process(), process()
    gateways = [SimulatedGateway(database, BEHAVIOUR) for database in databases]

    for _ in range(20):
        order = at_payment(pipeline)

        charged, refunded = at_once(
            partial(payment.process, databases[0], gateways[0], order.order_id, TRACE),
            partial(payment.refund, databases[1], gateways[1], order.order_id, TRACE),
        )

        assert charged == "CAPTURED" or isinstance(charged, StepFenced)
        assert refunded in ("REFUNDED", "VOIDED")
        assert order.ending().ledger == (REFUNDED if refunded == "REFUNDED" else [])
        order.call("ReleaseReservation")
        assert order.call("MarkCancelled")["outcome"] == "CANCELLED"


def test_a_charge_and_a_refund_that_both_find_no_payment_wait_for_each_other_at_the_order(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline)
    databases = process(), process()
    outcomes: list[object] = []
    both = threading.Thread(
        target=lambda: outcomes.extend(
            at_once(
                partial(payment.process, databases[0], pipeline.gateway, order.order_id, TRACE),
                partial(payment.refund, databases[1], pipeline.gateway, order.order_id, TRACE),
            )
        )
    )

    # Only a wait can be shown for certain: inserting at the same moment, and failing, takes luck.
    with process().engine.begin() as connection:
        connection.execute(
            text("SELECT FROM orders WHERE id = :order_id FOR NO KEY UPDATE"), {"order_id": order.order_id}
        )
        both.start()
        wait_until_somebody_waits_for_a_lock(pipeline, waiting=2)
        assert pipeline.rows("SELECT order_id FROM payments WHERE order_id = :id", id=order.order_id) == []
    both.join()

    assert outcomes[1] in ("REFUNDED", "VOIDED")


def test_two_refunds_at_once_refund_once(pipeline: Pipeline, process: Callable[[], Database]) -> None:
    databases = process(), process()
    gateways = [SimulatedGateway(database, BEHAVIOUR) for database in databases]

    for _ in range(10):
        order = at_payment(pipeline)
        order.call("ProcessPayment")

        outcomes = at_once(
            partial(payment.refund, databases[0], gateways[0], order.order_id, TRACE),
            partial(payment.refund, databases[1], gateways[1], order.order_id, TRACE),
        )

        assert outcomes == ["REFUNDED", "REFUNDED"]
        assert order.ending().ledger == REFUNDED


def test_a_refund_that_another_one_overtakes_says_nothing_of_it_a_second_time(
    pipeline: Pipeline, process: Callable[[], Database]
) -> None:
    order = at_payment(pipeline)
    order.call("ProcessPayment")
    other = process()
    overtaken = Wire(
        pipeline.gateway,
        after={
            "refund": lambda: payment.refund(other, SimulatedGateway(other, BEHAVIOUR), order.order_id, TRACE)
        },
    )

    payment.refund(pipeline.database, overtaken, order.order_id, TRACE)

    told = pipeline.rows(
        "SELECT id FROM outbox WHERE subject = :order_id AND type = 'com.orders.payment.refunded.v1'",
        order_id=order.order_id,
    )
    assert len(told) == 1
    assert order.ending().ledger == REFUNDED


def test_a_charge_that_is_said_to_have_timed_out_after_its_refund_stays_refunded(pipeline: Pipeline) -> None:
    """Nobody would ever settle it: the order may be cancelled by then."""
    order = at_payment(pipeline)

    def refund_and_lose_the_answer() -> None:
        payment.refund(pipeline.database, pipeline.gateway, order.order_id, TRACE)
        raise PaymentGatewayTimeout("the answer was lost")

    gateway = Wire(pipeline.gateway, after={"capture": refund_and_lose_the_answer})
    with pytest.raises(PaymentGatewayUnavailable):
        payment.process(pipeline.database, gateway, order.order_id, TRACE)

    assert payment_row(order)["status"] == "REFUNDED"
    assert order.ending().ledger == REFUNDED
