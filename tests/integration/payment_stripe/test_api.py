"""How we meet Stripe: our key, its patience, our time, and what is told of its failures."""

import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from orders import aws
from orders.db import Database
from orders.errors import (
    FraudSuspected,
    PaymentDeclined,
    PaymentGatewayTimeout,
    PaymentGatewayUnavailable,
    ServiceUnavailable,
)
from orders.observability import write_metrics
from orders.payments.gateway import Charge, GatewayStatus, PaymentGateway
from orders.payments.provider import PaymentProvider, connect
from payment_stripe.api import Patience
from payment_stripe.gateway import StripeGateway
from payment_stripe.settings import StripeSettings
from tests.integration.payment_stripe.conftest import CHARGE, PATIENCE, SECRET_ID, Secret, Stripe
from tests.support.logs import Logs
from tools.stripe.server import API_KEY, Fault

CREATE = r"POST /v1/payment_intents$"
CONFIRM = r"POST .*/confirm$"
ANY = ""


def test_the_environment_says_which_account_and_where(
    monkeypatch: pytest.MonkeyPatch, stripe: Stripe, database: Database, secret: Secret, key: str
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.server.url)

    gateway: PaymentGateway = connect(PaymentProvider.STRIPE, database)

    assert secret.reads == []
    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED


@pytest.mark.parametrize(
    "base", ["http://api.stripe.com", "ftp://127.0.0.1", "http://127.0.0.1.example.com", ""]
)
def test_the_key_is_sent_nowhere_in_the_clear(base: str) -> None:
    with pytest.raises(ValidationError):
        StripeSettings(stripe_api_key_secret_id=SECRET_ID, stripe_api_base=base)


def test_it_is_stripe_itself_unless_something_else_is_said() -> None:
    assert StripeSettings(stripe_api_key_secret_id=SECRET_ID).stripe_api_base == "https://api.stripe.com"


def test_a_key_that_was_rotated_is_read_again(
    gateway: StripeGateway, stripe: Stripe, key: str, secret: Secret
) -> None:
    secret.read_before = "sk_test_yesterday"

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert True in secret.reads


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
def test_a_key_that_is_refused_calls_a_person_and_cancels_no_order(
    gateway: StripeGateway, stripe: Stripe, key: str, logs: Logs, fault: Fault
) -> None:
    stripe.server.fail(fault, ANY, times=9)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert raised.value.gateway_at_fault
    assert not isinstance(raised.value, PaymentGatewayTimeout)
    (line,) = [line for line in logs.lines if line["level"] == "ERROR"]
    assert line["message"].startswith("Stripe refuses our key")
    write_metrics()
    assert "StripeAuthenticationFailed" in logs.everything


def test_a_secret_that_cannot_be_read_says_nothing_about_stripe(
    gateway: StripeGateway, stripe: Stripe, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(secret_id: str, *, afresh: bool = False) -> str:
        raise ServiceUnavailable("no")

    monkeypatch.setattr(aws, "read_secret", fail)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)
    assert not raised.value.gateway_at_fault


def test_it_waits_as_long_as_stripe_asks_for_if_there_is_time(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("rate_limited", CREATE, seconds=1)
    began = time.monotonic()

    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert time.monotonic() - began >= 1


def test_it_does_not_wait_for_longer_than_there_is_time(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("rate_limited", CREATE, seconds=60)
    began = time.monotonic()

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert raised.value.gateway_at_fault
    assert time.monotonic() - began < 30


def test_a_stripe_that_is_not_there_has_charged_nothing(database: Database, secret: Secret, key: str) -> None:
    nowhere = StripeSettings(stripe_api_key_secret_id=SECRET_ID, stripe_api_base="http://127.0.0.1:1")

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        StripeGateway(database, nowhere, PATIENCE).capture(key, CHARGE)

    assert raised.value.gateway_at_fault
    assert not isinstance(raised.value, PaymentGatewayTimeout)


def test_a_call_ends_in_its_time_and_goes_on_in_the_next_one(
    database: Database, settings: StripeSettings, secret: Secret, stripe: Stripe, key: str
) -> None:
    in_a_hurry = StripeGateway(database, settings, Patience(connect=1, read=2, total=4, wait=0.02))
    # The response to the creation comes so late that a confirmation could not end in time.
    stripe.server.fail("slow", CREATE, seconds=1.5)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        in_a_hurry.capture(key, CHARGE)

    assert not raised.value.gateway_at_fault
    assert stripe.charged() == []
    assert in_a_hurry.capture(key, CHARGE).status is GatewayStatus.CAPTURED
    assert len(stripe.intents()) == 1


def test_by_default_every_call_ends_before_a_steps_function() -> None:
    assert Patience().total + 2 < 25
    # A creation and a confirmation, each as slow as it may be.
    assert 2 * Patience().request <= Patience().total


def test_another_request_under_way_says_nothing_about_stripe(
    gateway: StripeGateway, database: Database, settings: StripeSettings, stripe: Stripe, key: str
) -> None:
    in_a_hurry = StripeGateway(database, settings, Patience(connect=0.5, read=0.5, total=1.2, wait=0.02))
    stripe.server.fail("held", CREATE, seconds=20)
    # We give it up, and it goes on at Stripe: the next one meets it.
    with pytest.raises(PaymentGatewayUnavailable):
        in_a_hurry.capture(key, CHARGE)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        in_a_hurry.capture(key, CHARGE)

    assert not raised.value.gateway_at_fault
    stripe.server.release()
    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED


def test_what_stripe_does_not_understand_of_us_cancels_no_order(
    gateway: StripeGateway, stripe: Stripe, key: str, logs: Logs
) -> None:
    """E.g. a parameter that a version of its API has no more: every order meets it, and waits."""
    stripe.server.fail("misunderstood", CREATE)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert raised.value.gateway_at_fault
    assert [line["message"] for line in logs.lines if line["level"] == "ERROR"] == [
        "Stripe does not understand a request of ours"
    ]
    assert gateway.capture(key, CHARGE).status is GatewayStatus.CAPTURED


def test_neither_the_key_nor_what_a_customer_pays_with_is_in_an_error_or_a_log(
    gateway: StripeGateway, stripe: Stripe, key: str, logs: Logs
) -> None:
    declined = Charge(1250, "USD", "pm_card_visa_chargeDeclinedStolenCard")
    texts = []
    with pytest.raises(FraudSuspected) as raised:
        gateway.capture(key, declined)
    texts.append(str(raised.value))
    with pytest.raises(PaymentDeclined) as unknown:
        gateway.capture(f"{key}-2", Charge(1250, "USD", "pm_nobody_knows"))
    texts.append(str(unknown.value))
    waiting = gateway.capture(f"{key}-3", Charge(1250, "USD", "pm_card_authenticationRequired"))
    assert waiting.action
    assert waiting.action.client_secret
    stripe.server.fail("unauthorized", ANY, times=9)
    with pytest.raises(PaymentGatewayUnavailable) as refused:
        gateway.find(key)
    texts.append(str(refused.value))

    told = "\n".join([*texts, logs.everything])
    for secret in (API_KEY, "pm_", "stolen", waiting.action.client_secret):
        assert secret not in told


def test_stripes_library_is_imported_in_its_provider_only() -> None:
    root = Path(__file__).parents[3]
    importers = {
        path.relative_to(root).parts[1]
        for folder in ("functions", "layers", "infra")
        for path in (root / folder).rglob("*.py")
        if "import stripe" in path.read_text()
    }
    assert importers == {"payment_stripe"}


def test_a_payment_that_another_request_has_says_nothing_about_stripe(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    stripe.server.fail("locked", CREATE, seconds=60)

    with pytest.raises(PaymentGatewayUnavailable) as raised:
        gateway.capture(key, CHARGE)

    assert not raised.value.gateway_at_fault
