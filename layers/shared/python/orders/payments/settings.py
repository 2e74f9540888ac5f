"""Which payment provider a function calls, and what guards it."""

from orders.db import Database
from orders.payments.breaker import CircuitBreaker
from orders.payments.gateway import PaymentGateway
from orders.payments.provider import PaymentProvider, connect
from orders.settings import DatabaseSettings


class PaymentSettings(DatabaseSettings):
    """For functions that call the payment provider. The provider's own settings are in its package."""

    payment_provider: PaymentProvider

    def gateway(self, database: Database) -> PaymentGateway:
        """The provider's gateway, behind the circuit breaker that all functions share.

        Raises:
            pydantic.ValidationError: a setting of the provider is missing or malformed; the message names it.
        """
        return CircuitBreaker(connect(self.payment_provider, database), database)
