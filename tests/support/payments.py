"""The payment simulator as tests have it: it takes no time, and fails only where the test method says so."""

from typing import Final

from payment_simulator.settings import SimulatorSettings

BEHAVIOUR: Final = SimulatorSettings(
    gateway_latency_min_ms=0,
    gateway_latency_max_ms=0,
    gateway_success_percent=100,
    gateway_retryable_percent=0,
    gateway_fraud_threshold=1_000_000,
)
ENVIRONMENT: Final = {
    "PAYMENT_PROVIDER": "simulator",
    **{name.upper(): str(value) for name, value in BEHAVIOUR.model_dump().items()},
}
"""What a function that calls the payment provider finds in its environment."""
