from pydantic import PositiveInt

from orders.payments.provider import PaymentProvider
from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    orders_per_minute: PositiveInt
    """How many new orders one user may place in any 60 seconds."""
    payment_provider: PaymentProvider
    """Whose payment methods an order may name. This function does not call it."""
    allow_test_payments: bool = False
    """Whether it may name a test method of a provider that moves money."""
