"""The payment providers that a stage can choose, and what their code finds in its environment."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PaymentProvider:
    """A stage's choice. The code is in `layers/payment_<name>`, which no other stage ships."""

    name: str
    environment: Mapping[str, str]
    """The provider's own settings, for the functions that call it."""
    moves_money: bool = True
    api_key_secret: str | None = None
    """The name of the secret that holds our key at the provider; the stack makes it, empty."""


def simulator(
    *,
    latency_min_ms: int,
    latency_max_ms: int,
    success_percent: int = 80,
    retryable_percent: int = 15,
    fraud_threshold_minor_units: int = 1_000_000,
) -> PaymentProvider:
    """The payment simulator. The rates are those of `pm_simulated`; the fixed test methods ignore them."""
    return PaymentProvider(
        "simulator",
        {
            "GATEWAY_LATENCY_MIN_MS": str(latency_min_ms),
            "GATEWAY_LATENCY_MAX_MS": str(latency_max_ms),
            "GATEWAY_SUCCESS_PERCENT": str(success_percent),
            "GATEWAY_RETRYABLE_PERCENT": str(retryable_percent),
            "GATEWAY_FRAUD_THRESHOLD": str(fraud_threshold_minor_units),
        },
        moves_money=False,
    )


def stripe(*, api_key_secret: str, api_base: str | None = None) -> PaymentProvider:
    """Stripe.

    `api_base`: where its API is, if that is not Stripe itself.
    """
    return PaymentProvider(
        "stripe",
        {
            "STRIPE_API_KEY_SECRET_ID": api_key_secret,
            **({"STRIPE_API_BASE": api_base} if api_base else {}),
        },
        api_key_secret=api_key_secret,
    )
