from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    """One class for all five functions, as for the saga's steps."""
