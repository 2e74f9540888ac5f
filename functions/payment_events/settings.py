from orders.payments.settings import PaymentSettings
from orders.settings import ConsumerSettings


class Settings(ConsumerSettings, PaymentSettings):
    """What comparing a payment with the gateway's record needs."""
