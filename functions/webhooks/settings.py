from pydantic import NonNegativeInt

from orders.webhooks.settings import WebhookSettings


class Settings(WebhookSettings):
    redeliveries_per_hour: NonNegativeInt
    """How many deliveries one user may have sent again."""
