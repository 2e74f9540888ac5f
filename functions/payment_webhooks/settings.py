from orders.payments.provider import PaymentProvider
from orders.settings import FunctionSettings


class Settings(FunctionSettings):
    """What taking in the provider's webhooks needs: no database."""

    payment_provider: PaymentProvider
    queue_url: str
    signing_secret_id: str
    """ARN or name of the Secrets Manager secret that the provider signs with: one, or two while it is rotated, with
    white space between them."""
