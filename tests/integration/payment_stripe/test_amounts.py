"""Five euros are five euros at Stripe, in every currency."""

import pytest

from orders.errors import PaymentDeclined
from orders.money import CURRENCIES
from orders.payments.gateway import Charge
from payment_stripe.amounts import AmountNotTaken, from_stripe, to_stripe
from payment_stripe.gateway import StripeGateway
from tests.integration.payment_stripe.conftest import Stripe

# docs.stripe.com/currencies, as of API version 2026-10-28.endive. All others have two digits; ISK and UGX for
# compatibility, though nobody may use them.
WITHOUT = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
WITH_THREE = "BHD JOD KWD OMR TND"
STRIPES_DIGITS = {**dict.fromkeys(WITHOUT.split(), 0), **dict.fromkeys(WITH_THREE.split(), 3)}
NOT_TAKEN = {"IQD", "LYD"}


@pytest.mark.parametrize("currency", sorted(CURRENCIES.keys() - NOT_TAKEN))
def test_an_amount_is_the_same_at_stripe(currency: str) -> None:
    ours = 5 * 10 ** CURRENCIES[currency]

    stripes = to_stripe(ours, currency)

    assert stripes == 5 * 10 ** STRIPES_DIGITS.get(currency, 2)
    assert from_stripe(stripes, currency) == ours


@pytest.mark.parametrize(("amount", "currency"), [(1255, "KWD"), (1250, "MGA"), (1000, "IQD"), (1000, "LYD")])
def test_what_stripe_could_only_round_is_refused(amount: int, currency: str) -> None:
    with pytest.raises(AmountNotTaken):
        to_stripe(amount, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "stripes"),
    [(1250, "JPY", 1250), (1250, "KWD", 1250), (5, "ISK", 500), (500, "MGA", 5)],
)
def test_stripe_takes_it_and_tells_it_in_our_units(
    gateway: StripeGateway, stripe: Stripe, key: str, amount: int, currency: str, stripes: int
) -> None:
    payment = gateway.capture(key, Charge(amount, currency, "pm_card_visa"))

    assert payment.captured == amount
    assert stripe.charged() == [stripes]
    assert gateway.refund(key).refunded == amount
    assert [refund.amount for refund in gateway.find_refunds(key)] == [amount]


def test_a_currency_that_stripe_does_not_take_declines_the_order(
    gateway: StripeGateway, stripe: Stripe, key: str
) -> None:
    with pytest.raises(PaymentDeclined):
        gateway.capture(key, Charge(5000, "IQD", "pm_card_visa"))
