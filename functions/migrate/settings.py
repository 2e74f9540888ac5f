from orders.payments.provider import PaymentProvider
from orders.settings import DatabaseSettings


class Settings(DatabaseSettings):
    payment_provider: PaymentProvider
    """Whose tables are migrated besides the orders' own."""
