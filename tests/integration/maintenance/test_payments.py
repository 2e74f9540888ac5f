"""Payments whose outcome nobody recorded are settled with the gateway."""

from uuid import UUID

import pytest

from functions.maintenance.payments import BATCH_SIZE, PATIENCE_SECONDS, settle_payments
from orders.db import Database
from orders.errors import (
    FraudSuspected,
    PaymentDeclined,
    PaymentGatewayCircuitOpen,
    PaymentGatewayTimeout,
)
from orders.observability import metrics
from orders.payments.breaker import POLICY, CircuitBreaker
from orders.payments.gateway import Charge, PaymentGateway
from payment_simulator import customers
from payment_simulator.gateway import SimulatedGateway
from tests.integration.breaker.gateways import ScriptedGateway
from tests.integration.maintenance.support import NO_TIME, PLENTY, let_time_pass, repairs
from tests.support.factories import add_order, execute, rows
from tests.support.payments import BEHAVIOUR


@pytest.fixture
def gateway(database: Database) -> PaymentGateway:
    return SimulatedGateway(database, BEHAVIOUR)


def begin_payment(
    database: Database,
    status: str = "UNKNOWN",
    order_status: str = "PROCESSING",
    method: str = "pm_card_visa",
) -> UUID:
    """An order whose payment was begun, and then nobody recorded how it ended."""
    order_id = add_order(database, payment_method=method)
    execute(
        database,
        "INSERT INTO payments (order_id, provider_key, status, amount, currency) "
        "SELECT id, 'order-' || id, :status, total_amount, currency FROM orders WHERE id = :order_id",
        status=status,
        order_id=order_id,
    )
    execute(database, "UPDATE orders SET status = 'PROCESSING' WHERE id = :order_id", order_id=order_id)
    if order_status != "PROCESSING":
        execute(
            database,
            "UPDATE orders SET status = :status WHERE id = :order_id",
            status=order_status,
            order_id=order_id,
        )
    return order_id


def charge(database: Database, order_id: UUID) -> Charge:
    (order,) = rows(database, "SELECT * FROM orders WHERE id = :order_id", order_id=order_id)
    return Charge(order["total_amount"], order["currency"], order["payment_method"])


def charge_then_time_out(database: Database, gateway: PaymentGateway, order_id: UUID) -> None:
    with pytest.raises(PaymentGatewayTimeout):
        gateway.capture(f"order-{order_id}", charge(database, order_id))


def settle(database: Database, gateway: PaymentGateway) -> int:
    let_time_pass(database, PATIENCE_SECONDS + 1)
    return settle_payments(database, gateway, PLENTY)


def payment(database: Database, order_id: UUID) -> tuple[str, int]:
    """Its status, and the money that we hold by our own record."""
    (row,) = rows(database, "SELECT * FROM payments WHERE order_id = :order_id", order_id=order_id)
    return row["status"], row["captured"] - row["refunded"]


def ledger(database: Database, order_id: UUID) -> list[str]:
    """The gateway's own book on it."""
    found = rows(
        database, "SELECT kind FROM gateway.entries WHERE key = :key ORDER BY id", key=f"order-{order_id}"
    )
    return [row["kind"] for row in found]


@pytest.mark.parametrize("status", ["UNKNOWN", "PENDING"])
def test_a_charge_for_an_order_on_its_way_is_recorded(
    database: Database, gateway: PaymentGateway, status: str
) -> None:
    order_id = begin_payment(database, status, method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("CAPTURED", 2500)
    assert ledger(database, order_id) == ["CAPTURE"]


def test_a_charge_for_a_cancelled_order_is_given_back(database: Database, gateway: PaymentGateway) -> None:
    order_id = begin_payment(database, order_status="CANCELLED", method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("REFUNDED", 0)
    assert ledger(database, order_id) == ["CAPTURE", "REFUND"]
    assert repairs(database) == ["PAYMENT_GIVEN_BACK"]


def test_a_charge_that_never_reached_the_gateway_is_left_to_the_saga(
    database: Database, gateway: PaymentGateway
) -> None:
    order_id = begin_payment(database)
    assert settle(database, gateway) == 0
    assert payment(database, order_id) == ("UNKNOWN", 0)
    assert repairs(database) == []


def test_a_charge_that_never_reached_the_gateway_never_may_once_the_order_is_cancelled(
    database: Database, gateway: PaymentGateway
) -> None:
    order_id = begin_payment(database, order_status="CANCELLED")
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("VOIDED", 0)
    (at_gateway,) = rows(database, "SELECT status FROM gateway.payments")
    assert at_gateway == {"status": "VOIDED"}


def test_a_charge_that_is_quicker_than_its_void_is_given_back(
    database: Database, gateway: PaymentGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = begin_payment(database, order_status="CANCELLED")
    void = gateway.void

    def void_too_late(key: str, charge: Charge) -> object:
        gateway.capture(key, charge)
        return void(key, charge)

    monkeypatch.setattr(gateway, "void", void_too_late)
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("REFUNDED", 0)
    assert ledger(database, order_id) == ["CAPTURE", "REFUND"]
    assert repairs(database) == ["PAYMENT_GIVEN_BACK"]


def test_a_decline_is_left_to_the_saga_which_records_its_reason(
    database: Database, gateway: PaymentGateway
) -> None:
    order_id = begin_payment(database, method="pm_card_fraud")
    with pytest.raises(FraudSuspected):
        gateway.capture(f"order-{order_id}", charge(database, order_id))
    assert settle(database, gateway) == 0
    assert payment(database, order_id) == ("UNKNOWN", 0)


def test_a_decline_of_a_cancelled_order_is_recorded(database: Database, gateway: PaymentGateway) -> None:
    order_id = begin_payment(database, order_status="CANCELLED", method="pm_card_declined")
    with pytest.raises(PaymentDeclined):
        gateway.capture(f"order-{order_id}", charge(database, order_id))
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("DECLINED", 0)


def test_a_payment_that_waits_for_the_customer_of_a_cancelled_order_never_can_be_captured(
    database: Database, gateway: PaymentGateway
) -> None:
    order_id = begin_payment(database, order_status="CANCELLED", method="pm_card_requires_action")
    gateway.capture(f"order-{order_id}", charge(database, order_id))
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("VOIDED", 0)
    assert not database.transact(lambda connection: customers.complete(connection, f"order-{order_id}"))


@pytest.mark.parametrize("status", ["PROCESSING", "NEEDS_REVIEW"])
def test_a_payment_that_waits_for_its_customer_is_left_to_its_saga_or_its_operator(
    database: Database, gateway: PaymentGateway, status: str
) -> None:
    order_id = begin_payment(database, order_status=status, method="pm_card_requires_action")
    gateway.capture(f"order-{order_id}", charge(database, order_id))
    assert settle(database, gateway) == 0
    assert payment(database, order_id) == ("UNKNOWN", 0)


def test_what_the_gateway_knows_of_an_order_in_review_is_recorded_and_not_touched(
    database: Database, gateway: PaymentGateway
) -> None:
    """An operator will confirm it or cancel it."""
    order_id = begin_payment(database, order_status="NEEDS_REVIEW", method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("CAPTURED", 2500)
    assert ledger(database, order_id) == ["CAPTURE"]


def test_a_payment_that_a_saga_touched_just_now_is_left_to_it(
    database: Database, gateway: PaymentGateway
) -> None:
    begin_payment(database, method="pm_card_timeout")
    let_time_pass(database, PATIENCE_SECONDS - 5)
    assert settle_payments(database, gateway, PLENTY) == 0


def test_a_payment_is_asked_about_once_a_minute(database: Database, gateway: PaymentGateway) -> None:
    begin_payment(database)
    settle(database, gateway)
    asked = ScriptedGateway()
    settle_payments(database, asked, PLENTY)
    assert asked.calls == []


def test_what_somebody_else_recorded_meanwhile_stands(
    database: Database, gateway: PaymentGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = begin_payment(database, method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    find = gateway.find

    def find_then_refund(key: str) -> object:
        found = find(key)
        gateway.refund(key)
        execute(database, "UPDATE payments SET status = 'REFUNDED', captured = amount, refunded = amount")
        return found

    monkeypatch.setattr(gateway, "find", find_then_refund)
    assert settle(database, gateway) == 0
    assert payment(database, order_id) == ("REFUNDED", 0)
    assert repairs(database) == []


def test_a_killed_round_is_made_good_by_a_later_one(
    database: Database, gateway: PaymentGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died when the gateway had refunded, and before that was recorded."""
    order_id = begin_payment(database, order_status="CANCELLED", method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    gateway.refund(f"order-{order_id}")
    assert settle(database, gateway) == 1
    assert payment(database, order_id) == ("REFUNDED", 0)
    assert ledger(database, order_id) == ["CAPTURE", "REFUND"]


def test_many_payments_are_settled_in_one_round(database: Database, gateway: PaymentGateway) -> None:
    for _ in range(BATCH_SIZE + 2):
        begin_payment(database, order_status="CANCELLED")
    assert settle(database, gateway) == BATCH_SIZE + 2


def test_an_open_circuit_ends_it_for_this_round(database: Database) -> None:
    def rest() -> None:
        raise PaymentGatewayCircuitOpen(60)

    for _ in range(3):
        begin_payment(database)
    asked = ScriptedGateway(rest)
    assert settle(database, asked) == 0
    assert asked.calls == ["find"]


def test_the_gateway_is_not_asked_while_its_circuit_is_open(database: Database) -> None:
    execute(
        database,
        "INSERT INTO circuit_breakers (name, failures, open_until) "
        "VALUES ('payment-gateway', :failures, now() + interval '1 minute')",
        failures=POLICY.calls,
    )
    begin_payment(database)
    asked = ScriptedGateway()
    settle(database, CircuitBreaker(asked, database))
    assert asked.calls == []


def test_a_round_without_time_begins_nothing(database: Database) -> None:
    begin_payment(database)
    let_time_pass(database, PATIENCE_SECONDS + 1)
    asked = ScriptedGateway()
    assert settle_payments(database, asked, NO_TIME) == 0
    assert asked.calls == []


def test_what_was_given_back_is_counted(database: Database, gateway: PaymentGateway) -> None:
    order_id = begin_payment(database, order_status="CANCELLED", method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    metrics.clear_metrics()
    settle(database, gateway)
    assert metrics.metric_set["PaymentsGivenBack"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_money_for_a_confirmed_order_that_no_step_has_recorded_is_counted_for_an_operator(
    database: Database, gateway: PaymentGateway
) -> None:
    order_id = begin_payment(database, order_status="CONFIRMED")
    gateway.capture(f"order-{order_id}", charge(database, order_id))
    metrics.clear_metrics()
    settle(database, gateway)
    assert repairs(database) == ["PAYMENT_CONFLICT"]
    assert metrics.metric_set["PaymentConflicts"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_settled_payments_are_counted(database: Database, gateway: PaymentGateway) -> None:
    order_id = begin_payment(database, method="pm_card_timeout")
    charge_then_time_out(database, gateway, order_id)
    metrics.clear_metrics()
    settle(database, gateway)
    assert metrics.metric_set["PaymentsSettled"]["Value"] == [1.0]
    metrics.clear_metrics()
