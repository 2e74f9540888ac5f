"""A key is charged once at Stripe, whatever is lost between us and it, and however many try at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text

from orders.db import Database
from orders.errors import (
    FraudSuspected,
    OrdersError,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    StepFenced,
)
from orders.payments.gateway import GatewayPayment, GatewayStatus
from payment_stripe.api import API_VERSION
from payment_stripe.gateway import StripeGateway
from tests.integration.payment_stripe.conftest import CHARGE, Stripe
from tests.support.factories import rows
from tests.support.logs import Logs

CREATE = r"POST /v1/payment_intents$"
CONFIRM = r"POST .*/confirm$"
RETRIEVE = r"GET /v1/payment_intents/\w+$"
CANCEL = r"POST .*/cancel$"


def test_a_charge_is_captured_and_found_again(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    payment = gateway.capture(key, CHARGE)

    assert payment == GatewayPayment(payment.payment_id, GatewayStatus.CAPTURED, captured=1250)
    assert payment.payment_id.startswith("pi_")
    assert gateway.find(key) == payment
    assert stripe.charged() == [1250]


def test_the_id_is_written_down_before_the_intent_can_move_money(
    gateway: StripeGateway, database: Database, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("hung_up", CONFIRM, times=9)

    with pytest.raises(PaymentGatewayTimeout):
        gateway.capture(key, CHARGE)

    (intent,) = stripe.intents()
    assert intent["status"] == "requires_confirmation"
    assert rows(database, f"SELECT payment_intent_id FROM stripe.payments WHERE key = '{key}'") == [
        {"payment_intent_id": intent["id"]}
    ]


def test_the_api_version_is_pinned_and_the_key_of_a_creation_is_ours(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)

    (created,) = stripe.asked("/payment_intents")
    assert (created["version"], created["key"]) == (API_VERSION, f"{key}-create")
    (confirmed,) = stripe.asked("/confirm")
    assert confirmed["version"] == API_VERSION


def test_a_repeated_capture_returns_the_first_one(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    first = gateway.capture(key, CHARGE)

    assert gateway.capture(key, CHARGE) == first
    assert stripe.charged() == [1250]


@pytest.mark.parametrize("fault", ["lost", "hung_up", "broken", "broken_after", "slow", "rate_limited"])
@pytest.mark.parametrize("where", [CREATE, CONFIRM])
def test_whatever_happens_to_a_request_the_next_attempts_charge_once(
    gateway: StripeGateway, stripe: Stripe, key: str, fault: str, where: str
) -> None:
    stripe.server.fail(fault, where, seconds=2)  # type: ignore[arg-type]

    for _ in range(3):
        try:
            payment = gateway.capture(key, CHARGE)
            break
        except PaymentGatewayUnavailable:
            continue

    assert payment.status is GatewayStatus.CAPTURED
    assert gateway.capture(key, CHARGE) == payment
    assert stripe.charged() == [1250]


@pytest.mark.parametrize("fault", ["lost", "slow", "broken_after"])
def test_a_confirmation_whose_response_is_lost_is_found_in_the_same_call(
    gateway: StripeGateway, stripe: Stripe, key: str, fault: str
) -> None:
    stripe.server.fail(fault, CONFIRM, seconds=2)  # type: ignore[arg-type]

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert len(stripe.asked("/confirm")) == 1


def test_an_unknown_outcome_stays_unknown_while_nobody_can_ask(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("lost", CONFIRM)
    stripe.server.fail("rate_limited", RETRIEVE, times=9, seconds=60)

    with pytest.raises(PaymentGatewayTimeout):
        gateway.capture(key, CHARGE)

    stripe.server.heal()
    found = gateway.find(key)
    assert found is not None
    assert found.status is GatewayStatus.CAPTURED


def test_a_creation_that_fails_has_charged_nothing(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    stripe.server.fail("slow", CREATE, times=9, seconds=2)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert not isinstance(raised.value, PaymentGatewayTimeout)
    assert gateway.find(key) is None
    assert stripe.charged() == []


def test_a_failure_that_stripe_keeps_under_our_key_stops_nobody_for_a_day(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("broken", CREATE)

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert [request["key"] for request in stripe.asked("/payment_intents")] == [
        f"{key}-create",
        f"{key}-create",
        f"{key}-create-2",
    ]


def test_a_creation_that_an_earlier_release_asked_for_otherwise_stops_nobody(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    """Under one key Stripe takes the same parameters only."""
    stripe.post("payment_intents", f"{key}-create", amount="1250", currency="usd", description="Order")

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert stripe.charged() == [1250]


def test_an_intent_of_another_account_is_the_affair_of_its_order_alone(
    gateway: StripeGateway, database: Database, key: str, logs: Logs
) -> None:
    gateway.capture(key, CHARGE)
    database.transact(
        lambda connection: connection.execute(
            text("UPDATE stripe.payments SET payment_intent_id = :id WHERE key = :key"),
            {"id": f"pi_{key}", "key": key},
        )
    )

    for call in (gateway.find, gateway.refund, gateway.find_refunds):
        with pytest.raises(PaymentGatewayUnavailable):
            call(key)
    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert not raised.value.gateway_at_fault
    assert {line["code"] for line in logs.lines if line["level"] == "ERROR"} == {"resource_missing"}


def test_a_key_that_stripe_has_forgotten_is_charged_once_nevertheless(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("lost", CONFIRM)
    stripe.server.fail("broken", RETRIEVE, times=9)
    with pytest.raises(PaymentGatewayTimeout):
        gateway.capture(key, CHARGE)
    stripe.server.heal()

    stripe.server.forget_keys()

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert stripe.charged() == [1250]
    assert len(stripe.intents()) == 1


def test_an_intent_that_nobody_has_written_down_is_never_confirmed(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("lost", CREATE, times=9)
    with pytest.raises(PaymentGatewayUnavailable):
        gateway.capture(key, CHARGE)
    stripe.server.heal()
    stripe.server.forget_keys()

    gateway.capture(key, CHARGE)

    assert sorted(intent["status"] for intent in stripe.intents()) == ["requires_confirmation", "succeeded"]
    assert stripe.charged() == [1250]


def test_many_captures_of_one_key_at_once_charge_once(
    another_process: Callable[[], StripeGateway], stripe: Stripe, key: str
) -> None:
    gateways = [another_process() for _ in range(8)]
    together = threading.Barrier(len(gateways))

    def capture(gateway: StripeGateway) -> GatewayStatus | type[OrdersError]:
        together.wait()
        try:
            return gateway.capture(key, CHARGE).status
        except PaymentGatewayUnavailable as error:
            return type(error)

    with ThreadPoolExecutor(len(gateways)) as pool:
        outcomes = list(pool.map(capture, gateways))

    assert GatewayStatus.CAPTURED in outcomes
    assert stripe.charged() == [1250]


def test_two_who_create_at_once_agree_on_one_intent_even_if_stripe_forgets_between_them(
    another_process: Callable[[], StripeGateway], gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("held", CREATE, seconds=20)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(another_process().capture, key, CHARGE)
        stripe.await_request(CREATE)
        fast = _with_other_key(gateway, key)
        stripe.server.release()

        assert slow.result() == fast

    assert stripe.charged() == [1250]
    assert sorted(intent["status"] for intent in stripe.intents()) == ["canceled", "succeeded"]


def _with_other_key(gateway: StripeGateway, key: str) -> GatewayPayment:
    """As if Stripe had forgotten the key of the creation that is under way."""
    from payment_stripe import gateway as module

    with pytest.MonkeyPatch.context() as monkeypatch:
        real = module._under_key
        monkeypatch.setattr(module, "_under_key", lambda key, *rest: real(f"{key}-again", *rest))
        return gateway.capture(key, CHARGE)


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("pm_card_chargeDeclined", PaymentDeclined),
        ("pm_card_chargeCustomerFail", PaymentDeclined),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", PaymentDeclined),
        ("pm_card_chargeDeclinedExpiredCard", PaymentDeclined),
        ("pm_card_chargeDeclinedIncorrectCvc", PaymentDeclined),
        ("pm_card_chargeDeclinedProcessingError", PaymentDeclined),
        ("pm_card_visa_chargeDeclinedLostCard", FraudSuspected),
        ("pm_card_visa_chargeDeclinedStolenCard", FraudSuspected),
        ("pm_card_chargeDeclinedFraudulent", FraudSuspected),
        ("pm_card_radarBlock", FraudSuspected),
    ],
)
def test_a_decline_is_final_and_is_found_again(
    gateway: StripeGateway, stripe: Stripe, key: str, method: str, error: type[Exception]
) -> None:
    for _ in range(2):
        with pytest.raises(error) as raised:
            gateway.capture(key, replace(CHARGE, method=method))
        assert method not in str(raised.value)

    found = gateway.find(key)
    assert found is not None
    assert (found.status, found.error) == (GatewayStatus.DECLINED, error.__name__)
    assert stripe.charged() == []
    assert len(stripe.asked("/confirm")) == 1


def test_after_a_decline_the_customer_cannot_pay_with_another_card(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    """With the client secret their browser could, and the order is cancelled by then."""
    with pytest.raises(PaymentDeclined):
        gateway.capture(key, replace(CHARGE, method="pm_card_chargeDeclined"))

    assert [intent["status"] for intent in stripe.intents()] == ["canceled"]


@pytest.mark.parametrize(
    "charge",
    [
        replace(CHARGE, method="pm_nobody_knows"),
        replace(CHARGE, amount=49),
        replace(CHARGE, amount=1255, currency="KWD"),
    ],
)
def test_what_stripe_can_never_charge_is_declined_and_opens_no_circuit(
    gateway: StripeGateway, stripe: Stripe, key: str, charge: object
) -> None:
    for _ in range(2):
        with pytest.raises(PaymentDeclined):
            gateway.capture(key, charge)  # type: ignore[arg-type]

    found = gateway.find(key)
    assert found is not None
    assert (found.status, found.error) == (GatewayStatus.DECLINED, "PaymentDeclined")
    assert stripe.intents() == []


def test_a_customer_whose_bank_asks_for_more_must_act_and_is_charged_then(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    charge = replace(CHARGE, method="pm_card_authenticationRequired")
    waiting = gateway.capture(key, charge)

    assert waiting.status is GatewayStatus.ACTION_REQUIRED
    assert waiting.action is not None
    assert waiting.action.type == "authenticate"
    assert waiting.action.client_secret
    assert waiting.action.client_secret not in repr(waiting)
    assert gateway.capture(key, charge) == gateway.find(key) == waiting
    assert stripe.charged() == []

    stripe.server.authenticate(waiting.action.client_secret)

    assert gateway.capture(key, charge).status is GatewayStatus.CAPTURED
    assert stripe.charged() == [1250]


@pytest.mark.parametrize(
    "method", ["pm_card_authenticationRequired", "pm_card_threeDSecureRequiredChargeDeclined"]
)
def test_a_customer_who_fails_is_declined_and_cannot_try_again(
    gateway: StripeGateway, stripe: Stripe, key: str, method: str
) -> None:
    charge = replace(CHARGE, method=method)
    waiting = gateway.capture(key, charge)
    assert waiting.action is not None
    is_known = method != "pm_card_authenticationRequired"
    stripe.server.authenticate(waiting.action.client_secret or "", success=is_known)

    found = gateway.find(key)

    assert found is not None
    assert (found.status, found.error) == (GatewayStatus.DECLINED, "PaymentDeclined")
    assert [intent["status"] for intent in stripe.intents()] == ["canceled"]
    with pytest.raises(PaymentDeclined):
        gateway.capture(key, charge)


def test_a_void_closes_a_key_that_stripe_has_never_heard_of(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    voided = gateway.void(key, CHARGE)

    assert voided.status is GatewayStatus.VOIDED
    assert gateway.find(key) == gateway.void(key, CHARGE) == voided
    with pytest.raises(StepFenced):
        gateway.capture(key, CHARGE)
    assert stripe.intents() == []


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_authenticationRequired"])
def test_a_void_cancels_what_has_not_captured(
    gateway: StripeGateway, stripe: Stripe, key: str, method: str
) -> None:
    charge = replace(CHARGE, method=method)
    if method == "pm_card_visa":
        stripe.server.fail("hung_up", CONFIRM)
        with pytest.raises(PaymentGatewayTimeout):
            gateway.capture(key, charge)
    else:
        gateway.capture(key, charge)

    assert gateway.void(key, charge).status is GatewayStatus.VOIDED

    assert [intent["status"] for intent in stripe.intents()] == ["canceled"]
    with pytest.raises(StepFenced):
        gateway.capture(key, charge)


def test_a_void_that_comes_too_late_says_so(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    captured = gateway.capture(key, CHARGE)

    assert gateway.void(key, CHARGE) == captured
    assert stripe.charged() == [1250]


def test_a_void_during_a_creation_leaves_nothing_that_could_be_charged(
    another_process: Callable[[], StripeGateway], gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("held", CREATE, seconds=20)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(another_process().capture, key, CHARGE)
        stripe.await_request(CREATE)
        assert gateway.void(key, CHARGE).status is GatewayStatus.VOIDED
        stripe.server.release()

        with pytest.raises(StepFenced):
            late.result()

    assert [intent["status"] for intent in stripe.intents()] == ["canceled"]


def test_a_void_before_a_late_confirmation_wins(
    another_process: Callable[[], StripeGateway], gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("held", CONFIRM, seconds=20)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(another_process().capture, key, CHARGE)
        stripe.await_request(CONFIRM)
        assert gateway.void(key, CHARGE).status is GatewayStatus.VOIDED
        stripe.server.release()

        with pytest.raises(StepFenced):
            late.result()

    assert stripe.charged() == []


def test_a_void_that_could_not_cancel_is_closed_already_and_goes_on_when_it_is_repeated(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("hung_up", CONFIRM)
    with pytest.raises(PaymentGatewayTimeout):
        gateway.capture(key, CHARGE)
    stripe.server.fail("broken", CANCEL, times=9)
    with pytest.raises(PaymentGatewayUnavailable):
        gateway.void(key, CHARGE)
    stripe.server.heal()

    with pytest.raises(StepFenced):
        gateway.capture(key, CHARGE)
    assert stripe.charged() == []
    assert gateway.void(key, CHARGE).status is GatewayStatus.VOIDED
