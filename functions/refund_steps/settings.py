from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    """What the steps of a refund need."""
