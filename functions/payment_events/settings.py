from orders.payments.settings import GatewaySettings


class Settings(GatewaySettings):
    """Nothing beyond the database and the payment gateway."""
