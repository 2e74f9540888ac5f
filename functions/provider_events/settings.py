from orders.payments.settings import PaymentSettings
from orders.settings import ConsumerSettings


class Settings(ConsumerSettings, PaymentSettings):
    """What looking at a payment at its provider needs."""
