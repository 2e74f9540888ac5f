from pydantic import Field

from orders.payments.simulator import Behaviour
from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """One class for all eleven functions, so that a step can be read without asking which variables it has."""

    reservation_ttl_seconds: int = Field(gt=0)
    gateway_latency_min_ms: int = Field(ge=0)
    gateway_latency_max_ms: int = Field(ge=0)
    gateway_success_percent: int = Field(ge=0, le=100)
    gateway_retryable_percent: int = Field(ge=0, le=100)
    gateway_fraud_threshold: int = Field(ge=0)
    """Minor units."""

    @property
    def gateway(self) -> Behaviour:
        """How the simulated payment gateway behaves."""
        return Behaviour(
            latency_min_ms=self.gateway_latency_min_ms,
            latency_max_ms=self.gateway_latency_max_ms,
            success_percent=self.gateway_success_percent,
            retryable_percent=self.gateway_retryable_percent,
            fraud_threshold=self.gateway_fraud_threshold,
        )
