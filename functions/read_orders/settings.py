from orders.payments.provider import PaymentProvider
from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    payment_provider: PaymentProvider
    """Where a customer acts on a payment. This function does not call it."""
