from orders.payments.settings import PaymentSettings


class Settings(PaymentSettings):
    """Nothing beyond the database and the payment gateway."""
