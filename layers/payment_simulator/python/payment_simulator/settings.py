from pydantic import Field

from orders.settings import EnvironmentSettings


class SimulatorSettings(EnvironmentSettings):
    """How the simulator behaves. Rates are in percent; what is left of them declines for good."""

    gateway_latency_min_ms: int = Field(ge=0)
    gateway_latency_max_ms: int = Field(ge=0)
    gateway_success_percent: int = Field(ge=0, le=100)
    gateway_retryable_percent: int = Field(ge=0, le=100)
    gateway_fraud_threshold: int = Field(ge=0)
    """Amounts above this many minor units are suspected fraud."""
