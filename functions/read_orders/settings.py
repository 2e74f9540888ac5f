from orders.payments.provider import PaymentProvider
from orders.settings import CancellationSettings


class Settings(CancellationSettings):
    payment_provider: PaymentProvider
    """Where a customer acts on a payment. This function does not call it."""
