"""Which payment gateway a function talks to, and what guards it. A provider's client is plugged in here."""

from pydantic import Field

from orders.db import Database
from orders.payments.breaker import CircuitBreaker
from orders.payments.gateway import PaymentGateway
from orders.payments.simulator import Behaviour, SimulatedGateway
from orders.settings import DatabaseSettings


class GatewaySettings(DatabaseSettings):
    """For functions that call the payment gateway."""

    gateway_latency_min_ms: int = Field(ge=0)
    gateway_latency_max_ms: int = Field(ge=0)
    gateway_success_percent: int = Field(ge=0, le=100)
    gateway_retryable_percent: int = Field(ge=0, le=100)
    gateway_fraud_threshold: int = Field(ge=0)
    """Minor units."""

    @property
    def behaviour(self) -> Behaviour:
        """How the simulated payment gateway behaves."""
        return Behaviour(
            latency_min_ms=self.gateway_latency_min_ms,
            latency_max_ms=self.gateway_latency_max_ms,
            success_percent=self.gateway_success_percent,
            retryable_percent=self.gateway_retryable_percent,
            fraud_threshold=self.gateway_fraud_threshold,
        )

    def gateway(self, database: Database) -> PaymentGateway:
        """The gateway, behind the circuit breaker that all functions share."""
        return CircuitBreaker(SimulatedGateway(database, self.behaviour), database)
