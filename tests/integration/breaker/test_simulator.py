"""The payment simulator as a whole: an outage of it, the methods that it has, and customers who must act."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import Connection

from orders.db import Database
from orders.errors import PaymentDeclined, PaymentGatewayUnavailable, StepFenced
from orders.payments.gateway import (
    DisputeStatus,
    GatewayDispute,
    GatewayPayment,
    GatewayStatus,
    PaymentGateway,
    RefundRefused,
)
from payment_simulator import customers, dashboard, outages
from payment_simulator.gateway import _FIXED, FLAKY_FAILURES, RATED_METHOD, SimulatedGateway
from payment_simulator.methods import METHODS
from tests.integration.breaker.gateways import CHARGE
from tests.support.factories import rows
from tests.support.payments import BEHAVIOUR

CALLS: dict[str, Callable[[PaymentGateway, str], object]] = {
    "capture": lambda gateway, key: gateway.capture(key, CHARGE),
    "find": lambda gateway, key: gateway.find(key),
    "void": lambda gateway, key: gateway.void(key, CHARGE),
    "refund": lambda gateway, key: gateway.refund(key),
    "refund_part": lambda gateway, key: gateway.refund_part(key, "refund-1", 100),
    "find_refunds": lambda gateway, key: gateway.find_refunds(key),
    "find_disputes": lambda gateway, key: gateway.find_disputes(key),
}


@pytest.fixture
def gateway(database: Database) -> PaymentGateway:
    return SimulatedGateway(database, BEHAVIOUR)


@pytest.mark.parametrize("key", ["captured", "unknown"])
@pytest.mark.parametrize("call", CALLS)
def test_an_outage_refuses_every_call_and_changes_nothing(
    database: Database, gateway: PaymentGateway, call: str, key: str
) -> None:
    gateway.capture("captured", CHARGE)
    before = rows(database, "SELECT * FROM gateway.payments"), rows(database, "SELECT * FROM gateway.entries")
    database.transact(lambda connection: outages.begin(connection, 60))

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        CALLS[call](gateway, key)

    assert raised.value.gateway_at_fault
    assert before == (
        rows(database, "SELECT * FROM gateway.payments"),
        rows(database, "SELECT * FROM gateway.entries"),
    )


@pytest.mark.parametrize("ended_by", ["its time", "the switch"])
def test_after_an_outage_it_works_again(database: Database, gateway: PaymentGateway, ended_by: str) -> None:
    seconds = 0 if ended_by == "its time" else 60
    database.transact(lambda connection: outages.begin(connection, seconds))
    if ended_by == "the switch":
        database.transact(outages.end)

    assert gateway.find("unknown") is None
    assert gateway.capture("key", CHARGE).status is GatewayStatus.CAPTURED
    assert gateway.refund("key").status is GatewayStatus.REFUNDED
    assert gateway.void("another", CHARGE).status is GatewayStatus.VOIDED


def given_back(database: Database) -> list[int]:
    entries = rows(database, "SELECT amount FROM gateway.entries WHERE kind = 'REFUND' ORDER BY id")
    return [entry["amount"] for entry in entries]


def test_parts_are_given_back_once_each_and_never_more_than_was_captured(
    database: Database, gateway: PaymentGateway
) -> None:
    gateway.capture("key", CHARGE)

    first = gateway.refund_part("key", "refund-1", 1000)
    again = gateway.refund_part("key", "refund-1", 1000)
    with pytest.raises(RefundRefused):
        gateway.refund_part("key", "refund-2", 251)
    rest = gateway.refund_part("key", "refund-3", 250)

    assert first == again == replace(first, status=GatewayStatus.CAPTURED, captured=1250, refunded=1000)
    assert rest == replace(first, status=GatewayStatus.REFUNDED, refunded=1250)
    assert gateway.refund_part("key", "refund-1", 1000) == rest
    assert sum(given_back(database)) == 1250


def test_at_once_no_more_is_given_back_than_was_captured(database: Database, gateway: PaymentGateway) -> None:
    gateway.capture("key", CHARGE)

    def part(number: int) -> bool:
        try:
            gateway.refund_part("key", f"refund-{number}", 625)
        except RefundRefused:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        granted = list(pool.map(part, range(8)))

    assert sum(granted) == 2
    assert sum(given_back(database)) == 1250


def test_all_that_is_left_is_given_back(database: Database, gateway: PaymentGateway) -> None:
    gateway.capture("key", CHARGE)
    gateway.refund_part("key", "refund-1", 1000)

    assert gateway.refund("key").refunded == gateway.refund("key").refunded == 1250
    assert given_back(database) == [1000, 250]


def test_nothing_is_given_back_of_what_was_not_captured(gateway: PaymentGateway) -> None:
    gateway.void("key", CHARGE)

    for key in ("key", "unknown"):
        with pytest.raises(RefundRefused):
            gateway.refund_part(key, "refund-1", 1)


def test_it_tells_refunds_of_ours_from_those_of_its_dashboard(
    database: Database, gateway: PaymentGateway
) -> None:
    gateway.capture("key", CHARGE)
    gateway.refund_part("key", "refund-1", 250)
    database.transact(lambda connection: dashboard.refund(connection, "key", 300))
    too_much = database.transact(lambda connection: dashboard.refund(connection, "key", 701))
    gateway.refund("key")

    assert too_much is None
    assert [(refund.refund_key, refund.amount) for refund in gateway.find_refunds("key")] == [
        ("refund-1", 250),
        (None, 300),
        ("key", 700),
    ]
    assert gateway.find_refunds("unknown") == []
    assert rows(database, "SELECT sum(amount)::int AS sum FROM gateway.entries WHERE kind = 'REFUND'") == [
        {"sum": 1250}
    ]


@pytest.mark.parametrize(("is_won", "status"), [(True, DisputeStatus.WON), (False, DisputeStatus.LOST)])
def test_a_dispute_is_opened_and_decided(
    database: Database, gateway: PaymentGateway, is_won: bool, status: DisputeStatus
) -> None:
    gateway.capture("key", CHARGE)
    database.transact(lambda connection: dashboard.open_dispute(connection, "key", 1000))
    (opened,) = gateway.find_disputes("key")
    database.transact(lambda connection: dashboard.close_disputes(connection, "key", is_won=is_won))

    assert opened == GatewayDispute(opened.dispute_id, 1000, "USD", "fraudulent", DisputeStatus.OPEN)
    assert gateway.find_disputes("key") == [replace(opened, status=status)]
    assert gateway.find_disputes("unknown") == []
    assert database.transact(lambda connection: dashboard.open_dispute(connection, "unknown")) is None


def test_the_methods_that_it_names_are_those_that_it_has() -> None:
    assert set(METHODS) == {*_FIXED, "pm_card_flaky", RATED_METHOD}


@pytest.mark.parametrize("method", ["pm_card_declned", "pm_1J2k3L4m", "pm_card_Visa"])
def test_a_method_that_it_does_not_have_is_declined(gateway: PaymentGateway, method: str) -> None:
    with pytest.raises(PaymentDeclined):
        gateway.capture("key", replace(CHARGE, method=method))


@pytest.mark.parametrize(
    ("method", "is_its_own"),
    [("pm_card_down", False), ("pm_card_flaky", False), ("pm_card_timeout", False), (RATED_METHOD, True)],
)
def test_a_failure_says_whose_fault_it_is(database: Database, method: str, is_its_own: bool) -> None:
    """Of the rated method it is the gateway's own: the rates are how well the gateway works."""
    rates = {"gateway_success_percent": 0, "gateway_retryable_percent": 100}
    gateway = SimulatedGateway(database, BEHAVIOUR.model_copy(update=rates))
    for place in range(FLAKY_FAILURES):
        with pytest.raises(PaymentGatewayUnavailable) as raised:
            gateway.capture(f"order-{method}-{place}", replace(CHARGE, method=method))
        assert raised.value.gateway_at_fault == is_its_own


ACTS = {"complete": customers.complete, "fail": customers.fail}


@pytest.fixture
def waiting(gateway: PaymentGateway) -> GatewayPayment:
    """A payment under the key `waits` that needs its customer."""
    return gateway.capture("waits", replace(CHARGE, method="pm_card_requires_action"))


def act(database: Database, name: str) -> bool:
    return database.transact(partial(_act, name))


def _act(name: str, connection: Connection) -> bool:
    return ACTS[name](connection, "waits")


def test_a_payment_that_needs_its_customer_takes_nothing_and_says_what_to_do(
    database: Database, gateway: PaymentGateway, waiting: GatewayPayment
) -> None:
    assert waiting.status is GatewayStatus.ACTION_REQUIRED
    assert waiting.action is not None
    assert waiting.action.type == "authenticate"
    assert waiting.action.client_secret
    assert waiting.action.client_secret not in repr(waiting)
    assert gateway.capture("waits", CHARGE) == gateway.find("waits") == waiting
    assert rows(database, "SELECT * FROM gateway.entries") == []


def test_a_customer_who_completes_it_is_charged_once(
    database: Database, gateway: PaymentGateway, waiting: GatewayPayment
) -> None:
    assert [act(database, "complete"), act(database, "complete"), act(database, "fail")] == [
        True,
        False,
        False,
    ]

    found = gateway.find("waits")
    assert found is not None
    assert (found.status, found.captured) == (GatewayStatus.CAPTURED, CHARGE.amount)
    assert len(rows(database, "SELECT * FROM gateway.entries")) == 1


def test_a_customer_who_fails_it_is_declined(
    database: Database, gateway: PaymentGateway, waiting: GatewayPayment
) -> None:
    assert [act(database, "fail"), act(database, "complete")] == [True, False]

    with pytest.raises(PaymentDeclined):
        gateway.capture("waits", CHARGE)


@pytest.mark.parametrize("name", ACTS)
def test_a_customer_who_comes_after_the_void_changes_nothing(
    database: Database, gateway: PaymentGateway, waiting: GatewayPayment, name: str
) -> None:
    assert gateway.void("waits", CHARGE).status is GatewayStatus.VOIDED

    assert act(database, name) is False

    with pytest.raises(StepFenced):
        gateway.capture("waits", CHARGE)
    assert rows(database, "SELECT * FROM gateway.entries") == []


@pytest.mark.parametrize("name", ACTS)
def test_a_customer_cannot_act_while_it_is_down(
    database: Database, waiting: GatewayPayment, name: str
) -> None:
    database.transact(lambda connection: outages.begin(connection, 60))

    assert act(database, name) is False
