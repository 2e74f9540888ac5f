"""Money goes back once for each refund, never more than was captured, whatever is lost and however long it takes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from orders.errors import PaymentDeclined, PaymentGatewayTimeout, PaymentGatewayUnavailable
from orders.payments.gateway import (
    DisputeStatus,
    GatewayDispute,
    GatewayRefund,
    GatewayStatus,
    NothingToRefund,
    RefundRefused,
)
from payment_stripe.gateway import StripeGateway
from tests.integration.payment_stripe.conftest import CHARGE, Stripe
from tools.stripe.server import Fault

REFUND = r"POST /v1/refunds$"


def test_all_that_is_left_is_given_back_once(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    gateway.capture(key, CHARGE)
    gateway.refund_part(key, "refund-1", 250)

    refunded = gateway.refund(key)

    assert (refunded.status, refunded.captured, refunded.refunded) == (GatewayStatus.REFUNDED, 1250, 1250)
    assert gateway.refund(key) == gateway.find(key) == gateway.capture(key, CHARGE) == refunded
    assert sorted(stripe.given_back()) == [250, 1000]


@pytest.mark.parametrize("before", ["nothing", "a void", "a decline"])
def test_without_a_capture_there_is_nothing_to_give_back(
    gateway: StripeGateway, stripe: Stripe, key: str, before: str
) -> None:
    if before == "a void":
        gateway.void(key, CHARGE)
    elif before == "a decline":
        with pytest.raises(PaymentDeclined):
            gateway.capture(key, replace(CHARGE, method="pm_card_chargeDeclined"))

    with pytest.raises(NothingToRefund):
        gateway.refund(key)
    with pytest.raises(RefundRefused):
        gateway.refund_part(key, f"refund-{key}", 100)
    assert stripe.given_back() == []


def test_a_part_is_given_back_once_for_its_key(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    gateway.capture(key, CHARGE)

    first = gateway.refund_part(key, f"refund-{key}", 400)

    assert (first.status, first.captured, first.refunded) == (GatewayStatus.CAPTURED, 1250, 400)
    assert gateway.refund_part(key, f"refund-{key}", 400) == first
    assert gateway.refund_part(key, f"refund-{key}-2", 850).status is GatewayStatus.REFUNDED
    assert sorted(stripe.given_back()) == [400, 850]


def test_a_refund_is_known_also_after_stripe_has_forgotten_its_key(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)
    first = gateway.refund_part(key, f"refund-{key}", 400)

    stripe.server.forget_keys()

    assert gateway.refund_part(key, f"refund-{key}", 400) == first
    assert stripe.given_back() == [400]


@pytest.mark.parametrize("fault", ["lost", "hung_up", "broken", "broken_after", "slow", "rate_limited"])
@pytest.mark.parametrize("whole", [True, False])
def test_whatever_happens_to_a_refund_the_next_attempts_give_back_once(
    gateway: StripeGateway, stripe: Stripe, key: str, fault: Fault, whole: bool
) -> None:
    gateway.capture(key, CHARGE)
    stripe.server.fail(fault, REFUND, seconds=2)

    for _ in range(3):
        try:
            payment = gateway.refund(key) if whole else gateway.refund_part(key, f"refund-{key}", 400)
            break
        except PaymentGatewayUnavailable:
            continue

    assert payment.refunded == (1250 if whole else 400)
    assert stripe.given_back() == [payment.refunded]


def test_a_refund_that_stripe_has_lost_by_a_failure_of_its_own_is_made_under_another_key(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    """Stripe replays its failure under the first key for a day."""
    gateway.capture(key, CHARGE)
    stripe.server.fail("broken", REFUND)

    assert gateway.refund_part(key, f"refund-{key}", 400).refunded == 400

    assert [request["key"] for request in stripe.asked("/refunds")] == [
        f"refund-{key}",
        f"refund-{key}",
        f"refund-{key}-2",
    ]


def test_more_than_is_left_is_refused(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    gateway.capture(key, CHARGE)
    gateway.refund_part(key, f"refund-{key}", 1000)

    with pytest.raises(RefundRefused):
        gateway.refund_part(key, f"refund-{key}-2", 251)

    assert stripe.given_back() == [1000]


def test_of_many_refunds_at_once_those_succeed_for_which_there_is_money(
    another_process: Callable[[], StripeGateway], gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)
    gateways = [another_process() for _ in range(6)]
    together = threading.Barrier(len(gateways))

    def refund(number: int) -> bool:
        together.wait()
        # Of every refund there are two processes.
        try:
            gateways[number].refund_part(key, f"refund-{key}-{number // 2}", 500)
        except RefundRefused:
            return False
        return True

    with ThreadPoolExecutor(len(gateways)) as pool:
        succeeded = list(pool.map(refund, range(len(gateways))))

    assert sum(succeeded) == 4
    assert stripe.given_back() == [500, 500]


def test_who_gives_back_all_at_once_gives_back_once(
    another_process: Callable[[], StripeGateway], gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)
    gateways = [another_process() for _ in range(4)]

    with ThreadPoolExecutor(len(gateways)) as pool:
        statuses = {payment.status for payment in pool.map(lambda one: one.refund(key), gateways)}

    assert statuses == {GatewayStatus.REFUNDED}
    assert stripe.given_back() == [1250]


def test_a_refund_that_the_bank_sends_back_is_none_and_is_not_tried_again(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)
    gateway.refund_part(key, f"refund-{key}", 400)
    (refund,) = gateway.find_refunds(key)

    stripe.server.fail_refund(refund.refund_id)

    assert gateway.find_refunds(key) == []
    found = gateway.find(key)
    assert found is not None
    assert found.refunded == 0
    with pytest.raises(RefundRefused, match="lost_or_stolen_card"):
        gateway.refund_part(key, f"refund-{key}", 400)


def test_all_refunds_are_found_and_those_of_the_dashboard_are_not_ours(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    payment = gateway.capture(key, CHARGE)
    assert gateway.find_refunds(key) == []
    gateway.refund_part(key, f"refund-{key}", 400)
    made_by_hand = stripe.post("refunds", payment_intent=payment.payment_id, amount="50")

    ours, theirs = sorted(gateway.find_refunds(key), key=lambda refund: -refund.amount)

    assert (ours.refund_key, ours.amount) == (f"refund-{key}", 400)
    assert theirs == GatewayRefund(made_by_hand["id"], None, 50)
    found = gateway.find(key)
    assert found is not None
    assert found.refunded == 450


def test_refunds_are_found_on_every_page(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    payment = gateway.capture(key, CHARGE)
    gateway.refund_part(key, f"refund-{key}", 1)
    for _ in range(101):
        stripe.post("refunds", payment_intent=payment.payment_id, amount="1")

    assert len(gateway.find_refunds(key)) == 102
    stripe.server.forget_keys()
    assert gateway.refund_part(key, f"refund-{key}", 1).refunded == 102


def test_a_dispute_is_found_as_it_stands(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    payment = gateway.capture(key, CHARGE)
    assert gateway.find_disputes(key) == []

    dispute_id = stripe.server.dispute(payment.payment_id, 1000, "product_not_received")

    dispute = GatewayDispute(dispute_id, 1000, "USD", "product_not_received", DisputeStatus.OPEN)
    assert gateway.find_disputes(key) == [dispute]
    stripe.server.close_dispute(dispute_id, "lost")
    assert gateway.find_disputes(key) == [replace(dispute, status=DisputeStatus.LOST)]
    stripe.server.close_dispute(dispute_id, "won")
    assert gateway.find_disputes(key) == [replace(dispute, status=DisputeStatus.WON)]


def test_an_inquiry_of_a_bank_is_no_dispute_yet(gateway: StripeGateway, stripe: Stripe, key: str) -> None:
    payment = gateway.capture(key, CHARGE)
    dispute_id = stripe.server.dispute(payment.payment_id)

    stripe.server.close_dispute(dispute_id, "warning_needs_response")

    assert gateway.find_disputes(key) == []


def test_of_a_key_that_nobody_knows_nothing_is_found(gateway: StripeGateway, key: str) -> None:
    assert gateway.find(key) is None
    assert not gateway.find_refunds(key)
    assert not gateway.find_disputes(key)


def test_a_refund_whose_outcome_nobody_knows_is_said_to_be_so(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    gateway.capture(key, CHARGE)
    stripe.server.fail("lost", REFUND, times=99)

    with pytest.raises(PaymentGatewayTimeout):
        gateway.refund_part(key, f"refund-{key}", 400)

    stripe.server.heal()
    assert gateway.refund_part(key, f"refund-{key}", 400).refunded == 400
    assert stripe.given_back() == [400]
