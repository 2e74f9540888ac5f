"""Every movement of money is held against the gateway's record and the order's status, and put right where a rule
says how."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from functions.payment_events.reconcile import reconcile
from orders.db import Credentials, Database
from orders.errors import PaymentGatewayUnavailable
from orders.events import (
    CONSUMER_OF,
    CloudEvent,
    InventoryReserved,
    PaymentCaptured,
    PaymentRefunded,
    Queue,
)
from orders.ids import uuid7
from orders.observability import metrics
from orders.payments import reconciliation
from orders.payments.gateway import Charge, GatewayDispute, GatewayPayment, GatewayRefund, PaymentGateway
from payment_simulator import customers
from payment_simulator.gateway import SimulatedGateway
from tests.support.api import lambda_context
from tests.support.consumers import FakeDeadLetterQueue, batch, cloud_event, failed, published
from tests.support.factories import add_order, execute, rows
from tests.support.payments import BEHAVIOUR

TOTAL = 2500
CAPTURED = PaymentCaptured(amount=TOTAL, currency="USD")
REFUNDED = PaymentRefunded(amount=TOTAL, currency="USD")


@dataclass
class PaymentSetup:
    """An order, what we have recorded of its payment, and what the gateway has."""

    database: Database
    gateway: PaymentGateway

    def order(self, status: str, recorded: str, at_gateway: str) -> UUID:
        order_id = add_order(self.database)
        for step in ["PROCESSING"] if status == "PROCESSING" else ["PROCESSING", status]:
            execute(
                self.database, "UPDATE orders SET status = :status WHERE id = :id", status=step, id=order_id
            )
        execute(
            self.database,
            "INSERT INTO payments (order_id, provider_key, status, amount, currency, captured, refunded) "
            "VALUES (:id, :key, :status, :total, 'USD', :captured, :refunded)",
            id=order_id,
            key=f"order-{order_id}",
            status=recorded,
            total=TOTAL,
            captured=TOTAL if recorded in ("CAPTURED", "REFUNDED") else 0,
            refunded=TOTAL if recorded == "REFUNDED" else 0,
        )
        waits = at_gateway == "ACTION_REQUIRED"
        charge = Charge(TOTAL, "USD", "pm_card_requires_action" if waits else "pm_card_visa")
        if at_gateway in ("CAPTURED", "REFUNDED", "ACTION_REQUIRED"):
            self.gateway.capture(f"order-{order_id}", charge)
        if at_gateway == "REFUNDED":
            self.gateway.refund(f"order-{order_id}")
        if at_gateway == "VOIDED":
            self.gateway.void(f"order-{order_id}", charge)
        return order_id

    def recorded(self) -> tuple[str, int, int]:
        (row,) = rows(self.database, "SELECT status, captured, refunded FROM payments")
        return row["status"], row["captured"], row["refunded"]

    def held_by_gateway(self) -> int:
        """Captured and not refunded, by its own book."""
        (row,) = rows(
            self.database,
            "SELECT coalesce(sum(CASE kind WHEN 'CAPTURE' THEN amount ELSE -amount END), 0)::int AS held "
            "FROM gateway.entries",
        )
        return int(row["held"])

    def repairs(self) -> list[str]:
        return [row["kind"] for row in rows(self.database, "SELECT kind FROM repairs ORDER BY id")]


@pytest.fixture
def setup(database: Database) -> PaymentSetup:
    return PaymentSetup(database, SimulatedGateway(database, BEHAVIOUR))


@pytest.fixture
def other_process(credentials: Credentials) -> Iterator[Database]:
    database = Database(lambda: credentials)
    yield database
    database.engine.dispose()


@pytest.fixture
def handler(setup: PaymentSetup, monkeypatch: pytest.MonkeyPatch) -> Any:
    handler = importlib.import_module("functions.payment_events.handler")
    monkeypatch.setattr(handler, "database", setup.database)
    monkeypatch.setattr(handler, "gateway", setup.gateway)
    return handler.handler


@pytest.mark.parametrize(
    ("order_status", "recorded", "at_gateway"),
    [
        ("PROCESSING", "CAPTURED", "CAPTURED"),
        ("CONFIRMED", "CAPTURED", "CAPTURED"),
        ("CANCELLED", "REFUNDED", "REFUNDED"),
        ("NEEDS_REVIEW", "CAPTURED", "CAPTURED"),
        # RefundPayment has just given it back, and is about to say so.
        ("PROCESSING", "CAPTURED", "REFUNDED"),
        ("CANCELLED", "VOIDED", "VOIDED"),
        # Cancelled before anybody asked the gateway.
        ("CANCELLED", "VOIDED", "NONE"),
        # Its saga waits, or an operator is to look at it.
        ("PROCESSING", "ACTION_REQUIRED", "ACTION_REQUIRED"),
        ("NEEDS_REVIEW", "ACTION_REQUIRED", "ACTION_REQUIRED"),
    ],
)
def test_books_that_agree_are_left_alone(
    setup: PaymentSetup, order_status: str, recorded: str, at_gateway: str
) -> None:
    order_id = setup.order(order_status, recorded, at_gateway)
    before = setup.recorded(), setup.held_by_gateway()
    reconcile(setup.database, setup.gateway, cloud_event(order_id, CAPTURED))
    assert (setup.recorded(), setup.held_by_gateway()) == before
    assert setup.repairs() == []


@pytest.mark.parametrize(
    "recorded", ["CAPTURED", "VOIDED", "DECLINED", "UNKNOWN", "PENDING", "ACTION_REQUIRED", "REFUNDED"]
)
def test_whatever_is_captured_for_a_cancelled_order_is_given_back(setup: PaymentSetup, recorded: str) -> None:
    order_id = setup.order("CANCELLED", recorded, "CAPTURED")
    reconcile(setup.database, setup.gateway, cloud_event(order_id, CAPTURED))
    assert setup.held_by_gateway() == 0
    assert setup.recorded() == ("REFUNDED", TOTAL, TOTAL)
    assert setup.repairs() == ["PAYMENT_GIVEN_BACK"]


@pytest.mark.parametrize("recorded", ["ACTION_REQUIRED", "UNKNOWN", "VOIDED"])
def test_a_customer_cannot_act_any_more_on_the_payment_of_a_cancelled_order(
    setup: PaymentSetup, recorded: str
) -> None:
    order_id = setup.order("CANCELLED", recorded, "ACTION_REQUIRED")
    reconcile(setup.database, setup.gateway, cloud_event(order_id, CAPTURED))
    assert setup.recorded() == ("VOIDED", 0, 0)
    assert not setup.database.transact(lambda connection: customers.complete(connection, f"order-{order_id}"))


def test_a_customer_s_payment_is_left_to_the_saga_that_waits_for_it(setup: PaymentSetup) -> None:
    order_id = setup.order("PROCESSING", "ACTION_REQUIRED", "CAPTURED")
    reconcile(setup.database, setup.gateway, cloud_event(order_id, CAPTURED))
    assert setup.recorded() == ("ACTION_REQUIRED", 0, 0)


def test_a_refund_that_nobody_recorded_is_recorded(setup: PaymentSetup) -> None:
    order_id = setup.order("CANCELLED", "CAPTURED", "REFUNDED")
    reconcile(setup.database, setup.gateway, cloud_event(order_id, REFUNDED))
    assert setup.recorded() == ("REFUNDED", TOTAL, TOTAL)
    assert setup.repairs() == ["PAYMENT_SETTLED"]


@pytest.mark.parametrize(
    ("order_status", "recorded", "at_gateway"),
    [
        ("CONFIRMED", "CAPTURED", "REFUNDED"),
        ("CONFIRMED", "CAPTURED", "NONE"),
        ("PROCESSING", "CAPTURED", "NONE"),
        ("NEEDS_REVIEW", "VOIDED", "CAPTURED"),
        ("CANCELLED", "CAPTURED", "NONE"),
    ],
)
def test_where_no_rule_says_who_is_right_it_is_recorded_for_an_operator_and_nothing_is_touched(
    setup: PaymentSetup, order_status: str, recorded: str, at_gateway: str
) -> None:
    order_id = setup.order(order_status, recorded, at_gateway)
    before = setup.recorded(), setup.held_by_gateway()
    metrics.clear_metrics()
    reconcile(setup.database, setup.gateway, cloud_event(order_id, CAPTURED))
    assert (setup.recorded(), setup.held_by_gateway()) == before
    assert setup.repairs() == ["PAYMENT_CONFLICT"]
    assert metrics.metric_set["PaymentConflicts"]["Value"] == [1.0]
    metrics.clear_metrics()


# Once (promise I9)


def test_the_same_event_delivered_again_does_not_even_ask_the_gateway(setup: PaymentSetup) -> None:
    event = cloud_event(setup.order("CANCELLED", "VOIDED", "CAPTURED"), CAPTURED)
    reconcile(setup.database, setup.gateway, event)
    reconcile(setup.database, _Unreachable(), event)
    assert setup.repairs() == ["PAYMENT_GIVEN_BACK"]


def test_a_delivery_at_the_same_time_takes_no_second_effect(
    setup: PaymentSetup, other_process: Database
) -> None:
    event = cloud_event(setup.order("CONFIRMED", "CAPTURED", "REFUNDED"), CAPTURED)
    gateway = _Interrupted(setup.gateway, lambda: reconcile(other_process, setup.gateway, event))
    reconcile(setup.database, gateway, event)
    assert setup.repairs() == ["PAYMENT_CONFLICT"]


def test_a_consumer_killed_after_the_refund_records_it_on_the_next_delivery(setup: PaymentSetup) -> None:
    class Killed(BaseException):
        pass

    class Killer(SimulatedGateway):
        def refund(self, key: str) -> GatewayPayment:
            super().refund(key)
            raise Killed

    event = cloud_event(setup.order("CANCELLED", "VOIDED", "CAPTURED"), CAPTURED)
    with pytest.raises(Killed):
        reconcile(setup.database, Killer(setup.database, BEHAVIOUR), event)
    reconcile(setup.database, setup.gateway, event)
    assert setup.held_by_gateway() == 0
    assert setup.recorded() == ("REFUNDED", TOTAL, TOTAL)


# The handler


def test_a_message_is_given_up_alone(
    handler: Any, setup: PaymentSetup, dead_letters: FakeDeadLetterQueue
) -> None:
    good = cloud_event(setup.order("CANCELLED", "VOIDED", "CAPTURED"), REFUNDED)
    stray = cloud_event(good.subject, InventoryReserved(ttl_seconds=1))
    nobodys = cloud_event(UUID(int=0), CAPTURED)
    published(setup.database, good.model_dump_json())
    bodies = ["not json", *(event.model_dump_json() for event in (good, stray, nobodys))]
    assert failed(handler(batch(*bodies), lambda_context())) == []
    assert dead_letters.bodies == [bodies[0], *bodies[2:]]
    assert setup.held_by_gateway() == 0


def test_a_gateway_that_does_not_answer_sends_the_message_back(
    handler: Any, setup: PaymentSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = cloud_event(setup.order("CANCELLED", "VOIDED", "CAPTURED"), CAPTURED)
    published(setup.database, event.model_dump_json())
    with monkeypatch.context() as outage:
        outage.setattr(importlib.import_module("functions.payment_events.handler"), "gateway", _Unreachable())
        assert failed(handler(batch(event.model_dump_json()), lambda_context())) == ["message-0"]
    assert failed(handler(batch(event.model_dump_json()), lambda_context())) == []
    assert setup.held_by_gateway() == 0


def test_a_batch_stops_before_the_functions_time_is_over(handler: Any, setup: PaymentSetup) -> None:
    event = cloud_event(setup.order("CANCELLED", "VOIDED", "CAPTURED"), CAPTURED)
    remaining = iter([10_000, 1_000, 1_000])
    context = lambda_context()
    context.get_remaining_time_in_millis = lambda: next(remaining)  # type: ignore[method-assign]
    bodies = [each.model_dump_json() for each in (event, _again(event), _again(event))]
    published(setup.database, *bodies)
    answer = handler(batch(*bodies), context)
    assert failed(answer) == ["message-1", "message-2"]
    assert rows(setup.database, "SELECT consumer FROM inbox") == [
        {"consumer": CONSUMER_OF[Queue.PAYMENT_PROCESSING]}
    ]


def _again(event: CloudEvent) -> CloudEvent:
    """Another event of the same order."""
    return cloud_event(event.subject, CAPTURED)


class _Unreachable:
    """A `PaymentGateway` that is down."""

    def capture(self, key: str, charge: Charge) -> GatewayPayment:
        raise PaymentGatewayUnavailable("down")

    def find(self, key: str) -> GatewayPayment | None:
        raise PaymentGatewayUnavailable("down")

    def void(self, key: str, charge: Charge) -> GatewayPayment:
        raise PaymentGatewayUnavailable("down")

    def refund(self, key: str) -> GatewayPayment:
        raise PaymentGatewayUnavailable("down")

    def refund_part(self, key: str, refund_key: str, amount: int) -> GatewayPayment:
        raise PaymentGatewayUnavailable("down")

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        raise PaymentGatewayUnavailable("down")

    def find_disputes(self, key: str) -> Sequence[GatewayDispute]:
        raise PaymentGatewayUnavailable("down")


class _Interrupted(_Unreachable):
    """A `PaymentGateway` during whose look something else happens."""

    def __init__(self, gateway: PaymentGateway, meanwhile: Callable[[], None]) -> None:
        self._gateway = gateway
        self._meanwhile = meanwhile

    def find(self, key: str) -> GatewayPayment | None:
        found = self._gateway.find(key)
        self._meanwhile()
        return found

    def find_refunds(self, key: str) -> Sequence[GatewayRefund]:
        return self._gateway.find_refunds(key)


class TestRefundsOfConfirmedOrders:
    """A confirmed order agrees if the gateway holds what our books say, refunds on their way taken into account."""

    def refund(
        self, setup: PaymentSetup, order_id: UUID, amount: int, status: str, *, recorded: bool
    ) -> UUID:
        refund_id = uuid7()
        execute(
            setup.database,
            "INSERT INTO refunds (id, order_id, origin, requested_by, reason, amount, restock, status, refunded_at) "
            "VALUES (:id, :order_id, 'OPERATOR', 'operator', 'broken', :amount, false, :status, "
            "CASE WHEN :recorded THEN now() END)",
            id=refund_id,
            order_id=order_id,
            amount=amount,
            status=status,
            recorded=recorded,
        )
        if recorded:
            execute(
                setup.database,
                "UPDATE payments SET refunded = refunded + :amount WHERE order_id = :order_id",
                amount=amount,
                order_id=order_id,
            )
        return refund_id

    def verdict(self, setup: PaymentSetup, order_id: UUID) -> str:
        return str(reconciliation.reconcile(setup.database, setup.gateway, order_id).verdict)

    def test_what_is_given_back_and_recorded_agrees(self, setup: PaymentSetup) -> None:
        order_id = setup.order("CONFIRMED", "CAPTURED", "CAPTURED")
        refund_id = self.refund(setup, order_id, 500, "COMPLETED", recorded=True)
        setup.gateway.refund_part(f"order-{order_id}", f"refund-{refund_id}", 500)

        assert self.verdict(setup, order_id) == "AGREED"

    @pytest.mark.parametrize("status", ["REQUESTED", "NEEDS_REVIEW"])
    @pytest.mark.parametrize("is_given", [True, False])
    def test_what_is_on_its_way_agrees_given_or_not(
        self, setup: PaymentSetup, status: str, is_given: bool
    ) -> None:
        order_id = setup.order("CONFIRMED", "CAPTURED", "CAPTURED")
        refund_id = self.refund(setup, order_id, 500, status, recorded=False)
        if is_given:
            setup.gateway.refund_part(f"order-{order_id}", f"refund-{refund_id}", 500)

        assert self.verdict(setup, order_id) == "AGREED"

    def test_what_is_recorded_and_not_given_is_a_conflict(self, setup: PaymentSetup) -> None:
        order_id = setup.order("CONFIRMED", "CAPTURED", "CAPTURED")
        self.refund(setup, order_id, 500, "COMPLETED", recorded=True)

        assert self.verdict(setup, order_id) == "CONFLICT"

    def test_what_is_rejected_and_given_is_a_conflict(self, setup: PaymentSetup) -> None:
        order_id = setup.order("CONFIRMED", "CAPTURED", "CAPTURED")
        refund_id = self.refund(setup, order_id, 500, "REJECTED", recorded=False)
        setup.gateway.refund_part(f"order-{order_id}", f"refund-{refund_id}", 500)

        assert self.verdict(setup, order_id) == "CONFLICT"

    def test_a_confirmed_order_that_is_refunded_in_full_agrees(self, setup: PaymentSetup) -> None:
        order_id = setup.order("CONFIRMED", "REFUNDED", "CAPTURED")
        refund_id = self.refund(setup, order_id, TOTAL, "COMPLETED", recorded=False)
        execute(setup.database, "UPDATE refunds SET refunded_at = now()")
        setup.gateway.refund_part(f"order-{order_id}", f"refund-{refund_id}", TOTAL)

        assert self.verdict(setup, order_id) == "AGREED"
